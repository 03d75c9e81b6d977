#include "engine/ops/conv.h"

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/linear.h"
#include "engine/ops/view.h"
#include "kernels/accumulate.h"
#include "kernels/conv.h"

namespace baton {
namespace {

int64_t output_size(int64_t size, int before, int after, int64_t kernel, int stride) {
  return (size + before + after - kernel) / stride + 1;
}

void check_arguments(const Tensor& x, const Tensor& weight, const Tensor& bias, int stride, Padding padding) {
  require(x.defined() && x.rank() == 4 && (x.dtype() == DType::f32 || x.dtype() == DType::bf16),
          "conv2d: x must be [B, H, W, C] f32 or bf16");
  require(weight.defined() && weight.rank() == 4 && weight.numel() > 0, "conv2d: the weight must be [O, I, kh, kw]");
  require(weight.dtype() == x.dtype(), "conv2d: x is {}, the weight {}; cast one of them", name(x.dtype()),
          name(weight.dtype()));
  require(x.dim(3) == weight.dim(1), "conv2d: x {} has {} channels, the weight {} takes {}", x.shape(), x.dim(3),
          weight.shape(), weight.dim(1));
  require(!bias || (bias.shape() == Shape{weight.dim(0)} && bias.dtype() == DType::f32),
          "conv2d: the bias must be [{}] f32", weight.dim(0));
  require(stride >= 1 && padding.top >= 0 && padding.bottom >= 0 && padding.left >= 0 && padding.right >= 0,
          "conv2d: the stride must be positive and the padding not negative");
  require(x.dim(1) + padding.top + padding.bottom >= weight.dim(2) &&
              x.dim(2) + padding.left + padding.right >= weight.dim(3),
          "conv2d: x {} with its padding is smaller than the kernel {}", x.shape(), weight.shape());
}

kernels::ConvArgs arguments(const Tensor& x, const Tensor& weight, const Tensor& y, int stride, Padding padding) {
  return {.x = x.view(),
          .weight = weight.view(),
          .y = y.view(),
          .stride = stride,
          .top = padding.top,
          .bottom = padding.bottom,
          .left = padding.left,
          .right = padding.right};
}

// x or weight is undefined where the gradient that reads it is not wanted.
struct ConvBackward {
  Tensor x, weight;
  Shape x_shape, weight_shape;
  DType dtype;
  int stride;
  Padding padding;
  bool wants_bias;

  std::vector<Tensor> operator()(std::span<const Tensor> grad_outputs) const {
    const Tensor dy = contiguous(cast(grad_outputs[0], dtype));  // [B, H', W', O]
    Tensor dx, dw, db;
    if (weight) {
      dx = Tensor::empty(x_shape, dtype);
      kernels::cpu::conv2d_backward_data(arguments(dx, weight, dy, stride, padding));
    }
    if (x) {
      dw = Tensor::empty(weight_shape);
      kernels::cpu::conv2d_backward_weight(arguments(x, dw, dy, stride, padding));
    }
    if (wants_bias) {
      db = Tensor::empty({weight_shape[0]});
      kernels::cpu::sum_to({.source = dy.view(), .target = db.view()});
    }
    return {dx, dw, db};
  }
};

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int stride, Padding padding) {
  check_arguments(x, weight, bias, stride, padding);
  const bool unpadded = padding.top + padding.bottom + padding.left + padding.right == 0;
  if (weight.dim(2) == 1 && weight.dim(3) == 1 && stride == 1 && unpadded)
    return linear(x, reshape(weight, {weight.dim(0), weight.dim(1)}), bias);

  const Tensor pixels = contiguous(x.detach()), vector = bias ? contiguous(bias.detach()) : bias;
  Tensor y = Tensor::empty({x.dim(0), output_size(x.dim(1), padding.top, padding.bottom, weight.dim(2), stride),
                            output_size(x.dim(2), padding.left, padding.right, weight.dim(3), stride), weight.dim(0)},
                           x.dtype());
  kernels::ConvArgs args = arguments(pixels, weight, y, stride, padding);
  args.bias = vector.view();
  kernels::cpu::conv2d(args);
  if (!wants_grad({&x, &weight, &bias})) return y;

  const Tensor inputs[] = {x, weight, bias};
  ConvBackward rule{.x_shape = x.shape(),
                    .weight_shape = weight.shape(),
                    .dtype = x.dtype(),
                    .stride = stride,
                    .padding = padding,
                    .wants_bias = bias.requires_grad()};
  if (weight.requires_grad()) rule.x = pixels;
  if (x.requires_grad()) rule.weight = weight.detach();
  record("conv2d", {y}, inputs, std::move(rule));
  return y;
}

Tensor upsample2x(const Tensor& x) {
  require(x.defined() && x.rank() == 4, "upsample2x: x must be [B, H, W, C]");
  const int64_t b = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const Tensor repeated = expand(reshape(x, {b, h, 1, w, 1, c}), {b, h, 2, w, 2, c});
  return reshape(contiguous(repeated), {b, 2 * h, 2 * w, c});
}

}  // namespace baton
