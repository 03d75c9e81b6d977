#include "engine/models/wan_vae_blocks.h"

#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/norm.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"

namespace baton::wan_vae {
namespace {

constexpr Padding around{1, 1, 1, 1};

// Registers the temporal convolution of a 3-D resampling, which takes no part for one frame but belongs to the model.
void own_time_conv(const Scope& scope, int64_t in, int64_t out) {
  const Init init = Init::constant(0);
  (scope / "time_conv").parameter("weight", {out, in, 3, 1, 1}, init);
  (scope / "time_conv").parameter("bias", {out}, init);
}

// AvgDown3D for one frame: each output channel is the mean over a group of (channel, frame, row, column) cells; the
// frames before the first are zero.
Tensor average_down(const Tensor& x, int64_t out, int64_t space, int64_t time) {
  const int64_t b = x.dim(0), h = x.dim(1) / space, w = x.dim(2) / space, c = x.dim(3);
  Tensor cells = permute(reshape(x, {b, h, space, w, space, c}), {0, 1, 3, 5, 2, 4});  // [B, h, w, C, row, column]
  if (time > 1) {
    cells = reshape(cells, {b, h, w, c, 1, space * space});
    cells = concat({Tensor::zeros({b, h, w, c, time - 1, space * space}, x.dtype()), cells}, 4);
  }
  const int64_t group = c * time * space * space / out;
  return cast(mean_dim(reshape(cells, {b, h, w, out, group}), -1), x.dtype());
}

// DupUp3D for the first frame: channels repeat until they fill (channel, frame, row, column) cells; the last frame of
// the pair is kept.
Tensor duplicate_up(const Tensor& x, int64_t out, int64_t time) {
  const int64_t b = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3), repeats = out * time * 4 / c;
  const Tensor repeated = contiguous(expand(reshape(x, {b, h, w, c, 1}), {b, h, w, c, repeats}));
  const Tensor last = narrow(reshape(repeated, {b, h, w, out, time, 2, 2}), 4, time - 1, 1);
  const Tensor cells = permute(reshape(last, {b, h, w, out, 2, 2}), {0, 1, 4, 2, 5, 3});  // [B, h, row, w, column, out]
  return reshape(cells, {b, 2 * h, 2 * w, out});
}

std::vector<Resnet> chain(const Scope& scope, int64_t in, int64_t out, int64_t count) {
  std::vector<Resnet> resnets;
  for (int64_t i = 0; i < count; ++i) resnets.emplace_back(scope / "resnets" / i, i == 0 ? in : out, out);
  return resnets;
}

}  // namespace

std::vector<int64_t> level_widths(int64_t base, const std::vector<int64_t>& dim_mult) {
  std::vector<int64_t> widths{base};
  for (int64_t multiple : dim_mult) widths.push_back(base * multiple);
  return widths;
}

Conv conv3(const Scope& scope, int64_t in, int64_t out) {
  return Conv(scope, in, out, 3, {.frames = 3, .padding = around});
}

ChannelNorm::ChannelNorm(const Scope& scope, int64_t channels, int trailing) {
  Shape shape(trailing + 1, 1);
  shape[0] = channels;
  gamma_ = scope.parameter("gamma", shape, Init::constant(1));
}

Tensor ChannelNorm::operator()(const Tensor& x, bool silu) const {
  return l2_norm(x, reshape(gamma_, {gamma_.numel()}), silu);
}

Resnet::Resnet(const Scope& scope, int64_t in, int64_t out)
    : norm1_(scope / "norm1", in, 3),
      norm2_(scope / "norm2", out, 3),
      conv1_(conv3(scope / "conv1", in, out)),
      conv2_(conv3(scope / "conv2", out, out)) {
  if (in != out) shortcut_ = std::make_unique<Conv>(scope / "conv_shortcut", in, out, 1, Conv::Options{.frames = 1});
}

Tensor Resnet::operator()(const Tensor& x) const {
  const Tensor y = conv2_(norm2_(conv1_(norm1_(x, true)), true));
  return y + (shortcut_ ? (*shortcut_)(x) : x);
}

PixelAttention::PixelAttention(const Scope& scope, int64_t channels)
    : norm_(scope / "norm", channels, 2),
      qkv_(scope / "to_qkv", channels, 3 * channels, {.stored_shape = {3 * channels, channels, 1, 1}}),
      proj_(scope / "proj", channels, channels, {.stored_shape = {channels, channels, 1, 1}}) {}

Tensor PixelAttention::operator()(const Tensor& x) const {
  const int64_t b = x.dim(0), pixels = x.dim(1) * x.dim(2), c = x.dim(3);
  const auto qkv = split(reshape(qkv_(norm_(x, false)), {b, pixels, 1, 3 * c}), {c, c, c}, -1);
  return x + proj_(reshape(attention(qkv[0], qkv[1], qkv[2]), x.shape()));
}

MidBlock::MidBlock(const Scope& scope, int64_t channels)
    : first_(scope / "resnets" / 0, channels, channels),
      attention_(scope / "attentions" / 0, channels),
      second_(scope / "resnets" / 1, channels, channels) {}

Tensor MidBlock::operator()(const Tensor& x) const { return second_(attention_(first_(x))); }

Downsample::Downsample(const Scope& scope, int64_t channels, bool temporal)
    : conv_(scope / "resample" / 1, channels, channels, 3, {.stride = 2, .padding = {.bottom = 1, .right = 1}}) {
  if (temporal) own_time_conv(scope, channels, channels);
}

Upsample::Upsample(const Scope& scope, int64_t in, int64_t out, bool temporal)
    : conv_(scope / "resample" / 1, in, out, 3, {.padding = around}) {
  if (temporal) own_time_conv(scope, in, 2 * in);
}

Tensor Upsample::operator()(const Tensor& x) const { return conv_(upsample2x(x)); }

Up::Up(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool upsample)
    : resnets_(chain(scope, in, out, blocks + 1)) {
  if (upsample) upsample_ = std::make_unique<Upsample>(scope / "upsamplers" / 0, out, out / 2, temporal);
}

Tensor Up::operator()(const Tensor& input) const {
  Tensor x = input;
  for (const Resnet& resnet : resnets_) x = resnet(x);
  return upsample_ ? (*upsample_)(x) : x;
}

ResidualDown::ResidualDown(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool downsample)
    : out_(out), space_(downsample ? 2 : 1), time_(temporal ? 2 : 1), resnets_(chain(scope, in, out, blocks)) {
  if (downsample) downsample_ = std::make_unique<Downsample>(scope / "downsampler", out, temporal);
}

Tensor ResidualDown::operator()(const Tensor& input) const {
  Tensor x = input;
  for (const Resnet& resnet : resnets_) x = resnet(x);
  if (downsample_) x = (*downsample_)(x);
  return x + average_down(input, out_, space_, time_);
}

ResidualUp::ResidualUp(const Scope& scope, int64_t in, int64_t out, int64_t blocks, bool temporal, bool upsample)
    : out_(out), time_(temporal ? 2 : 1), resnets_(chain(scope, in, out, blocks + 1)) {
  if (upsample) upsample_ = std::make_unique<Upsample>(scope / "upsampler", out, out, temporal);
}

Tensor ResidualUp::operator()(const Tensor& input) const {
  Tensor x = input;
  for (const Resnet& resnet : resnets_) x = resnet(x);
  if (!upsample_) return x;
  return (*upsample_)(x) + duplicate_up(input, out_, time_);
}

}  // namespace baton::wan_vae
