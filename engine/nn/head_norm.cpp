#include "engine/nn/head_norm.h"

#include "engine/ops/norm.h"

namespace baton {

HeadNorm::HeadNorm(const Scope& scope, int64_t width, float eps)
    : weight_(scope.parameter("weight", {width}, Init::constant(1), Shard::column)),
      width_(width),
      eps_(eps),
      layout_(scope.layout()) {}

Tensor HeadNorm::operator()(const Tensor& x) const {
  Group& tp = layout_.on(Axis::tp);
  if (tp.size() == 1) return rms_norm(x, weight_, eps_);
  const float share = static_cast<float>(x.dim(2)) / static_cast<float>(width_);
  return rms_norm(x, weight_, eps_, [&tp, share](const Tensor& means) {
    for (float& mean : std::span(means.data<float>(), means.numel())) mean *= share;
    tp.all_reduce(values(means)).wait();
  });
}

}  // namespace baton
