#pragma once

#include <memory>
#include <vector>

#include "engine/nn/conv.h"
#include "engine/nn/linear.h"
#include "engine/nn/parameters.h"

// The building blocks of AutoencoderKLWan's encoder and decoder, over one channels-last frame: x [B, H, W, C].
namespace baton::wan_vae {

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Tensor operator()(const Tensor& x) const = 0;
};

// base * 1, base * dim_mult[0], base * dim_mult[1], …: channels before and after each level.
std::vector<int64_t> level_widths(int64_t base, const std::vector<int64_t>& dim_mult);

// A 3 x 3 x 3 causal convolution.
Conv conv3(const Scope& scope, int64_t in, int64_t out);

// x / ||x|| * sqrt(C) * gamma, and SiLU behind it if asked. gamma is stored as [C] with `trailing` further dimensions
// of one.
class ChannelNorm {
 public:
  ChannelNorm(const Scope& scope, int64_t channels, int trailing);
  Tensor operator()(const Tensor& x, bool silu) const;

 private:
  Tensor gamma_;
};

// Two norm-SiLU-convolution stages beside a shortcut.
class Resnet : public Layer {
 public:
  Resnet(const Scope& scope, int64_t in, int64_t out);
  Tensor operator()(const Tensor& x) const override;

 private:
  ChannelNorm norm1_, norm2_;
  Conv conv1_, conv2_;
  std::unique_ptr<Conv> shortcut_;
};

// Single-head self-attention over the pixels.
class PixelAttention : public Layer {
 public:
  PixelAttention(const Scope& scope, int64_t channels);
  Tensor operator()(const Tensor& x) const override;

 private:
  ChannelNorm norm_;
  Linear qkv_, proj_;
};

class MidBlock : public Layer {
 public:
  MidBlock(const Scope& scope, int64_t channels);
  Tensor operator()(const Tensor& x) const override;

 private:
  Resnet first_;
  PixelAttention attention_;
  Resnet second_;
};

// Halves both sides. `temporal` layers own a time_conv that one frame does not use.
class Downsample : public Layer {
 public:
  Downsample(const Scope& scope, int64_t channels, bool temporal);
  Tensor operator()(const Tensor& x) const override { return conv_(x); }

 private:
  Conv conv_;
};

// Doubles both sides, in -> out channels.
class Upsample : public Layer {
 public:
  Upsample(const Scope& scope, int64_t in, int64_t out, bool temporal);
  Tensor operator()(const Tensor& x) const override;

 private:
  Conv conv_;
};

// A level of the plain decoder: resnets, then (unless it is the last) an upsampling that halves the channels.
class Up : public Layer {
 public:
  Up(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool upsample);
  Tensor operator()(const Tensor& x) const override;

 private:
  std::vector<Resnet> resnets_;
  std::unique_ptr<Upsample> upsample_;
};

// A level of the residual encoder: resnets and a downsampling beside an averaging shortcut around both.
class ResidualDown : public Layer {
 public:
  ResidualDown(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool downsample);
  Tensor operator()(const Tensor& x) const override;

 private:
  int64_t out_, space_, time_;
  std::vector<Resnet> resnets_;
  std::unique_ptr<Downsample> downsample_;
};

// A level of the residual decoder: resnets and an upsampling beside a duplicating shortcut around both.
class ResidualUp : public Layer {
 public:
  ResidualUp(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool upsample);
  Tensor operator()(const Tensor& x) const override;

 private:
  int64_t out_, time_;
  std::vector<Resnet> resnets_;
  std::unique_ptr<Upsample> upsample_;
};

}  // namespace baton::wan_vae
