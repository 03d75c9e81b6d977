#include "engine/plan/schedule.h"

#include <algorithm>

namespace baton {

double bubble(const Execution& e) {
  return (e.size(Axis::pp) - 1) / static_cast<double>(e.interleave * e.micro_batches);
}

double micro_batches_in_flight(const Execution& e) {
  const double p = e.size(Axis::pp), m = static_cast<double>(e.micro_batches), v = static_cast<double>(e.interleave);
  if (e.order == PipelineOrder::gpipe) return m;
  return std::min(m, v > 1 ? p + (p - 1) / v : p);
}

}  // namespace baton
