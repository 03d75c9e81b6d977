#include "engine/models/input_sizes.h"

#include <algorithm>
#include <span>

#include "engine/core/error.h"

namespace baton {

void check_picture_size(int64_t size, const WanVaeConfig& vae, const std::filesystem::path& folder) {
  check(size % vae.scale_factor_spatial == 0, "pictures of {} pixels: {} makes one latent of {}; take a multiple of it",
        size, folder.string(), vae.scale_factor_spatial);
}

void check_latents(const WanTransformerConfig& denoiser, const Shape& latents) {
  check(latents.size() == 4 && latents[0] == denoiser.in_channels,
        "denoiser: latents {}, expected {} channels, frames, rows and columns", latents, denoiser.in_channels);
  for (int i = 0; i < 3; ++i) {
    const int64_t patches = latents[i + 1] / denoiser.patch_size[i];
    check(patches > 0 && patches * denoiser.patch_size[i] == latents[i + 1],
          "denoiser: latents {} are no multiple of the patch {}", latents, denoiser.patch_size);
    check(patches <= denoiser.rope_max_seq_len, "denoiser: {} patches along one side, at most {} (rope_max_seq_len)",
          patches, denoiser.rope_max_seq_len);
  }
}

void check_token_ids(const Tensor& ids, int64_t vocabulary, int64_t positions) {
  check(ids.dim(1) <= positions, "text: {} tokens with the one that pads, the text encoder has {} positions",
        ids.dim(1), positions);
  for (int32_t id : std::span(ids.data<int32_t>(), ids.numel()))
    check(id >= 0 && id < vocabulary,
          "text: the tokenizer gives id {}, the text encoder's table has {} rows; are they of the same model?", id,
          vocabulary);
}

}  // namespace baton
