#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/nn/parameters.h"

namespace baton {

// The keys of diffusers' AutoencoderKLWan config.json, with its defaults.
struct WanVaeConfig {
  int64_t base_dim = 96;
  std::optional<int64_t> decoder_base_dim;  // default: base_dim
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult{1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<float> attn_scales;
  std::vector<bool> temperal_downsample{false, true, true};  // diffusers' spelling
  std::vector<float> latents_mean, latents_std;              // [z_dim]; the denoiser sees (z - mean) / std
  bool is_residual = false;                                  // Wan 2.2's shortcuts around whole levels
  int64_t in_channels = 3;                                   // of the convolutions: picture channels * patch_size^2
  int64_t out_channels = 3;
  std::optional<int64_t> patch_size;
  int64_t scale_factor_spatial = 8;
  int64_t scale_factor_temporal = 4;
};

// AutoencoderKLWan for one frame. Its causal 3-D convolutions see zeros for the frames before the first, so for one
// frame each is a 2-D convolution with the last temporal slice of its kernel, and the temporal resampling convolutions
// (time_conv) do not take part; they are kept and written back.
//   Legend: B items, C channels, H rows, W columns of the picture; h, w of the latents.
class WanVae {
 public:
  WanVae(const WanVaeConfig& config, ParameterSource& source, DType compute);
  ~WanVae();

  struct Posterior {
    Tensor mean, logvar;  // [B, z_dim, 1, h, w] f32; logvar within [-30, 20]
  };
  // pictures [B, C, 1, H, W] f32 in [-1, 1]; H and W multiples of scale_factor_spatial.
  Posterior encode(const Tensor& pictures) const;
  // latents [B, z_dim, 1, h, w] f32 as encode gives them -> pictures [B, C, 1, H, W] f32, not clamped.
  Tensor decode(const Tensor& latents) const;
  // The same in overlapping tiles of `tile` x `tile` picture pixels whose seams are blended linearly: memory depends on
  // the tile alone. Sampling only.
  Tensor decode_tiled(const Tensor& latents, int64_t tile) const;

  // Between the VAE's latents and the denoiser's: (z - mean) / std per channel, and back.
  Tensor normalize(const Tensor& latents) const;
  Tensor denormalize(const Tensor& latents) const;

  int64_t picture_channels() const {
    const int64_t patch = config_.patch_size.value_or(1);
    return config_.out_channels / (patch * patch);
  }
  const WanVaeConfig& config() const { return config_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  class Encoder;
  class Decoder;
  WanVaeConfig config_;
  DType compute_;
  Parameters parameters_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace baton
