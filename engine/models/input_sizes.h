#pragma once

#include <filesystem>

#include "engine/models/wan_transformer.h"
#include "engine/models/wan_vae.h"

// What the models of files and configs can read. Each throws InputError for what they cannot.
namespace baton {

// Pictures of `size` pixels a side; `folder` is the autoencoder's.
void check_picture_size(int64_t size, const WanVaeConfig& vae, const std::filesystem::path& folder);
// Latents [C, F, h, w].
void check_latents(const WanTransformerConfig& denoiser, const Shape& latents);
// Texts as ids [B, L] i32, for a text encoder that knows so many ids and positions.
void check_token_ids(const Tensor& ids, int64_t vocabulary, int64_t positions);

}  // namespace baton
