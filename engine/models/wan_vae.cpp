#include "engine/models/wan_vae.h"

#include <algorithm>
#include <cmath>

#include "engine/core/require.h"
#include "engine/models/wan_vae_blocks.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"

namespace baton {

using namespace wan_vae;

class WanVae::Encoder {
 public:
  Encoder(const Scope& root, const WanVaeConfig& c)
      : widths_(level_widths(c.base_dim, c.dim_mult)),
        conv_in_(conv3(root / "encoder" / "conv_in", c.in_channels, widths_[0])),
        mid_(root / "encoder" / "mid_block", widths_.back()),
        norm_out_(root / "encoder" / "norm_out", widths_.back(), 3),
        conv_out_(conv3(root / "encoder" / "conv_out", widths_.back(), 2 * c.z_dim)),
        quant_(root / "quant_conv", 2 * c.z_dim, 2 * c.z_dim, 1, {.frames = 1}) {
    const Scope down = root / "encoder" / "down_blocks";
    const size_t levels = c.dim_mult.size();
    int64_t index = 0;
    double scale = 1;
    for (size_t i = 0; i < levels; ++i) {
      const int64_t in = widths_[i], out = widths_[i + 1];
      const bool last = i + 1 == levels, temporal = !last && c.temperal_downsample[i];
      if (c.is_residual) {
        layers_.push_back(
            std::make_unique<ResidualDown>(down / static_cast<int64_t>(i), in, out, c.num_res_blocks, temporal, !last));
        continue;
      }
      for (int64_t block = 0; block < c.num_res_blocks; ++block) {
        layers_.push_back(std::make_unique<Resnet>(down / index++, block == 0 ? in : out, out));
        if (std::find(c.attn_scales.begin(), c.attn_scales.end(), static_cast<float>(scale)) != c.attn_scales.end())
          layers_.push_back(std::make_unique<PixelAttention>(down / index++, out));
      }
      if (!last) layers_.push_back(std::make_unique<Downsample>(down / index++, out, temporal));
      scale /= 2;
    }
  }

  Tensor operator()(Tensor x) const {  // [B, H, W, C] -> [B, h, w, 2 z]
    x = conv_in_(x);
    for (const auto& layer : layers_) x = (*layer)(x);
    return quant_(conv_out_(norm_out_(mid_(x), true)));
  }

 private:
  std::vector<int64_t> widths_;
  Conv conv_in_;
  std::vector<std::unique_ptr<Layer>> layers_;
  MidBlock mid_;
  ChannelNorm norm_out_;
  Conv conv_out_, quant_;
};

class WanVae::Decoder {
 public:
  Decoder(const Scope& root, const WanVaeConfig& c)
      : post_quant_(root / "post_quant_conv", c.z_dim, c.z_dim, 1, {.frames = 1}),
        conv_in_(conv3(root / "decoder" / "conv_in", c.z_dim, top(c))),
        mid_(root / "decoder" / "mid_block", top(c)),
        norm_out_(root / "decoder" / "norm_out", base(c) * c.dim_mult[0], 3),
        conv_out_(conv3(root / "decoder" / "conv_out", base(c) * c.dim_mult[0], c.out_channels)) {
    const Scope up = root / "decoder" / "up_blocks";
    const size_t levels = c.dim_mult.size();
    int64_t in = top(c);
    for (size_t i = 0; i < levels; ++i) {
      const int64_t out = base(c) * c.dim_mult[levels - 1 - i];
      const bool last = i + 1 == levels, temporal = !last && c.temperal_downsample[levels - 2 - i];
      const Scope scope = up / static_cast<int64_t>(i);
      if (c.is_residual)
        layers_.push_back(std::make_unique<ResidualUp>(scope, in, out, c.num_res_blocks, temporal, !last));
      else
        layers_.push_back(std::make_unique<Up>(scope, in, out, c.num_res_blocks, temporal, !last));
      in = c.is_residual || last ? out : out / 2;  // the plain variant's upsampling halves the channels
    }
  }

  Tensor operator()(const Tensor& latents) const {  // [B, h, w, z] -> [B, H, W, C]
    Tensor x = mid_(conv_in_(post_quant_(latents)));
    for (const auto& layer : layers_) x = (*layer)(x);
    return conv_out_(norm_out_(x, true));
  }

 private:
  static int64_t base(const WanVaeConfig& c) { return c.decoder_base_dim.value_or(c.base_dim); }
  static int64_t top(const WanVaeConfig& c) { return base(c) * c.dim_mult.back(); }

  Conv post_quant_, conv_in_;
  MidBlock mid_;
  std::vector<std::unique_ptr<Layer>> layers_;
  ChannelNorm norm_out_;
  Conv conv_out_;
};

WanVae::WanVae(const WanVaeConfig& config, ParameterSource& source, DType compute)
    : config_(config), compute_(compute) {
  require(!config.dim_mult.empty() && config.temperal_downsample.size() + 1 >= config.dim_mult.size(),
          "vae: {} levels (dim_mult) need {} entries in temperal_downsample, there are {}", config.dim_mult.size(),
          config.dim_mult.size() - 1, config.temperal_downsample.size());
  const Scope root(source, parameters_);
  encoder_ = std::make_unique<Encoder>(root, config);
  decoder_ = std::make_unique<Decoder>(root, config);
}

WanVae::~WanVae() = default;

WanVae::Posterior WanVae::encode(const Tensor& pictures) const {
  require(pictures.rank() == 5 && pictures.dim(1) == picture_channels() && pictures.dim(2) == 1,
          "vae: pictures {}, expected [B, {}, 1, H, W]", pictures.shape(), picture_channels());
  require(pictures.dim(3) % config_.scale_factor_spatial == 0 && pictures.dim(4) % config_.scale_factor_spatial == 0,
          "vae: picture size {}x{} is no multiple of {}", pictures.dim(4), pictures.dim(3),
          config_.scale_factor_spatial);
  const int64_t p = config_.patch_size.value_or(1), b = pictures.dim(0), c = pictures.dim(1), h = pictures.dim(3) / p,
                w = pictures.dim(4) / p;
  // channel of a patch = (c, column within it, row within it), as diffusers' patchify orders them
  const Tensor cells = permute(reshape(pictures, {b, c, h, p, w, p}), {0, 2, 4, 1, 5, 3});
  const Tensor moments = (*encoder_)(cast(reshape(cells, {b, h, w, c * p * p}), compute_));
  const Tensor planar = cast(permute(moments, {0, 3, 1, 2}), DType::f32);  // [B, 2 z, h, w]
  const int64_t z = config_.z_dim;
  const auto halves = split(reshape(planar, {b, 2 * z, 1, planar.dim(2), planar.dim(3)}), {z, z}, 1);
  return {contiguous(halves[0]), clamp(contiguous(halves[1]), -30, 20)};
}

Tensor WanVae::decode(const Tensor& latents) const {
  require(latents.rank() == 5 && latents.dim(1) == config_.z_dim && latents.dim(2) == 1,
          "vae: latents {}, expected [B, {}, 1, h, w]", latents.shape(), config_.z_dim);
  const int64_t p = config_.patch_size.value_or(1), b = latents.dim(0), c = picture_channels();
  const Tensor rows = permute(reshape(latents, {b, config_.z_dim, latents.dim(3), latents.dim(4)}), {0, 2, 3, 1});
  const Tensor x = cast((*decoder_)(cast(rows, compute_)), DType::f32);  // [B, H / p, W / p, C p p]
  const int64_t h = x.dim(1), w = x.dim(2);
  return reshape(permute(reshape(x, {b, h, w, c, p, p}), {0, 3, 1, 5, 2, 4}), {b, c, 1, h * p, w * p});
}

namespace {

// Adds `tile` [B, C, 1, th, tw] to `sum` and its weight to `weight` [H, W] at (top, left). The weight rises linearly
// over `overlap` pixels from each edge that is not the picture's own, so that neighbours cross-fade.
void add_tile(const Tensor& tile, Tensor& sum, std::vector<float>& weight, int64_t top, int64_t left, int64_t overlap) {
  const int64_t height = sum.dim(3), width = sum.dim(4), th = tile.dim(3), tw = tile.dim(4),
                planes = tile.dim(0) * tile.dim(1);
  const auto ramp = [overlap](int64_t i, int64_t start, int64_t extent, int64_t whole) {
    float w = 1;
    if (start > 0) w = std::min(w, (static_cast<float>(i) + 0.5f) / static_cast<float>(overlap));
    if (start + extent < whole) w = std::min(w, (static_cast<float>(extent - i) - 0.5f) / static_cast<float>(overlap));
    return w;
  };
  for (int64_t y = 0; y < th; ++y)
    for (int64_t x = 0; x < tw; ++x) {
      const float w = ramp(y, top, th, height) * ramp(x, left, tw, width);
      const int64_t at = (top + y) * width + left + x;
      weight[at] += w;
      for (int64_t plane = 0; plane < planes; ++plane)
        sum.data<float>()[plane * height * width + at] += w * tile.data<float>()[(plane * th + y) * tw + x];
    }
}

// Windows that cover [0, whole): the fewest of at most `extent` that have `overlap` in common, all of one size, evenly
// spread.
struct Windows {
  int64_t size;
  std::vector<int64_t> starts;
};
Windows windows(int64_t whole, int64_t extent, int64_t overlap) {
  if (whole <= extent) return {whole, {0}};
  const auto divided_up = [](int64_t n, int64_t by) { return (n + by - 1) / by; };
  const int64_t count = divided_up(whole - overlap, extent - overlap);
  Windows result{divided_up(whole + (count - 1) * overlap, count), {}};
  for (int64_t i = 0; i < count; ++i) result.starts.push_back(i * (whole - result.size) / (count - 1));
  return result;
}

}  // namespace

Tensor WanVae::decode_tiled(const Tensor& latents, int64_t tile) const {
  const int64_t f = config_.scale_factor_spatial, h = latents.dim(3), w = latents.dim(4);
  const int64_t extent = std::max<int64_t>(tile / f, 4);
  const int64_t overlap = std::max<int64_t>(extent / 8, 1);  // by default 64 pixels, as diffusers has
  if (h <= extent && w <= extent) return decode(latents);
  Tensor sum = Tensor::zeros({latents.dim(0), picture_channels(), 1, h * f, w * f});
  std::vector<float> weight(h * f * w * f, 0.0f);
  const Windows rows = windows(h, extent, overlap), columns = windows(w, extent, overlap);
  for (int64_t top : rows.starts)
    for (int64_t left : columns.starts) {
      const Tensor window = contiguous(narrow(narrow(latents, 3, top, rows.size), 4, left, columns.size));
      add_tile(decode(window), sum, weight, top * f, left * f, overlap * f);
    }
  const int64_t pixels = h * f * w * f;
  for (int64_t i = 0; i < sum.numel(); ++i) sum.data<float>()[i] /= weight[i % pixels];
  return sum;
}

namespace {

Tensor per_channel(const std::vector<float>& values, int64_t z) {
  require(static_cast<int64_t>(values.size()) == z,
          "vae: {} latent statistics (latents_mean, latents_std) for {} channels", values.size(), z);
  return Tensor::from(values, {1, z, 1, 1, 1});
}

}  // namespace

Tensor WanVae::normalize(const Tensor& latents) const {
  std::vector<float> inverse;
  for (float deviation : config_.latents_std) inverse.push_back(1 / deviation);
  return (latents - per_channel(config_.latents_mean, config_.z_dim)) * per_channel(inverse, config_.z_dim);
}

Tensor WanVae::denormalize(const Tensor& latents) const {
  return latents * per_channel(config_.latents_std, config_.z_dim) + per_channel(config_.latents_mean, config_.z_dim);
}

}  // namespace baton
