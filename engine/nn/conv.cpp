#include "engine/nn/conv.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"

namespace baton {

Conv::Conv(const Scope& scope, int64_t in, int64_t out, int64_t kernel, const Options& options)
    : options_(options), trainable_(scope.trainable()) {
  const Init init = Init::uniform(1 / std::sqrt(static_cast<float>(in * kernel * kernel)));
  const Shape shape = options.frames ? Shape{out, in, options.frames, kernel, kernel} : Shape{out, in, kernel, kernel};
  weight_ = scope.parameter("weight", shape, init);
  bias_ = scope.parameter("bias", {out}, init);
}

Tensor Conv::weight_as(DType dtype) const {
  if (!options_.frames) return cast(weight_, dtype);
  const Tensor slice = contiguous(narrow(weight_, 2, options_.frames - 1, 1));
  return cast(reshape(slice, {weight_.dim(0), weight_.dim(1), weight_.dim(3), weight_.dim(4)}), dtype);
}

Tensor Conv::operator()(const Tensor& x) const {
  if (trainable_) return conv2d(x, weight_as(x.dtype()), bias_, options_.stride, options_.padding);
  NoGrad off;
  if (!constant_weight_ || constant_weight_.dtype() != x.dtype()) {
    constant_weight_ = weight_as(x.dtype());
    constant_bias_ = cast(bias_, DType::f32);
  }
  return conv2d(x, constant_weight_, constant_bias_, options_.stride, options_.padding);
}

}  // namespace baton
