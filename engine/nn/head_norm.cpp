#include "engine/nn/head_norm.h"

#include "engine/ops/elementwise.h"
#include "engine/ops/norm.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {

HeadNorm::HeadNorm(const Scope& scope, int64_t width, float eps)
    : weight_(scope.parameter("weight", {width}, Init::constant(1), Shard::column)),
      width_(width),
      eps_(eps),
      layout_(scope.layout()) {}

Tensor HeadNorm::operator()(const Tensor& x) const {
  Group& tp = layout_.on(Axis::tp);
  if (tp.size() == 1) return rms_norm(x, weight_, eps_);
  // Every rank adds its squares to the mean and divides its heads by it, so gradients are summed both ways.
  const Tensor values = cast(x, DType::f32), mine = mean_dim(square(values), 2);  // [B, T]
  const float share = static_cast<float>(x.dim(2)) / static_cast<float>(width_);
  const Tensor mean = copy(reduce(affine(mine, share), tp), tp);
  const Tensor factor = reshape(rsqrt(affine(mean, 1, eps_)), {x.dim(0), x.dim(1), 1});
  return cast(values * factor * weight_, x.dtype());
}

}  // namespace baton
