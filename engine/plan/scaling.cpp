#include "engine/plan/scaling.h"

#include <cmath>

namespace baton {

ComputeOptimal compute_optimal(double flops) {
  return {.parameters = 0.0009 * std::pow(flops, 0.5681),
          .tokens = 186.8535 * std::pow(flops, 0.4319),
          .loss = 3.3943 * std::pow(flops, -0.0273),
          .fid = 2.2566e6 * std::pow(flops, -0.234)};
}

}  // namespace baton
