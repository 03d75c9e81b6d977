#include "engine/plan/plan.h"

#include <numeric>

namespace baton {

double MemoryPlan::peak() const {
  return state() + state_outside + compute_weights + activations + activations_outside + working + buffers;
}

double TimePlan::step() const {
  return std::accumulate(communication.begin(), communication.end(), compute + optimizer + host + idle);
}

bool Plan::fits(const Machine& machine) const { return memory.peak() <= usable_memory * machine.memory; }

}  // namespace baton
