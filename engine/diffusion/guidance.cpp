#include "engine/diffusion/guidance.h"

#include <cmath>

#include "engine/core/error.h"
#include "engine/diffusion/combine.h"

namespace baton {

Tensor guide(const Tensor& conditional, const Tensor& unconditional, float scale) {
  return combine({{1.0 - scale, unconditional}, {scale, conditional}});
}

std::vector<float> guidance_per_expert(std::span<const double> scales, int experts) {
  check(scales.size() == 1 || static_cast<int>(scales.size()) == experts,
        "guidance: {} values for {} experts; give one value, or one for each expert (noisiest first)", scales.size(),
        experts);
  for (const double scale : scales)
    check(scale >= 0 && std::isfinite(scale), "guidance: {} must be 0 or more (1 = off)", scale);
  if (scales.size() == 1) return std::vector<float>(experts, static_cast<float>(scales[0]));
  return {scales.begin(), scales.end()};
}

}  // namespace baton
