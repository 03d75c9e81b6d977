#include "engine/plan/cost.h"

#include <algorithm>
#include <numeric>

namespace baton {

double Cost::device() const { return std::accumulate(communication.begin(), communication.end(), compute); }
double Cost::waits() const { return std::max(0.0, host - device()); }

Cost& Cost::operator+=(const Cost& other) {
  flops += other.flops;
  compute += other.compute;
  host += other.host;
  for (int i = 0; i < axis_count; ++i) communication[i] += other.communication[i];
  return *this;
}

Cost operator*(double times, Cost cost) {
  cost.flops *= times;
  cost.compute *= times;
  cost.host *= times;
  for (double& seconds : cost.communication) seconds *= times;
  return cost;
}

PassCosts& PassCosts::operator+=(const PassCosts& other) {
  forward += other.forward;
  backward += other.backward;
  return *this;
}

PassCosts operator*(double times, const PassCosts& costs) { return {times * costs.forward, times * costs.backward}; }

Cost gemm_cost(const Machine& machine, DType compute, const Gemm& g) {
  const double flops = 2 * g.batch * g.m * g.n * g.k;
  const double efficiency = machine.gemm_efficiency / (1 + machine.gemm_half_size * (1 / g.m + 1 / g.n + 1 / g.k));
  Cost cost = kernels_cost(machine, 1);
  cost.flops = flops;
  cost.compute += flops / (machine.peak(compute) * efficiency);
  return cost;
}

PassCosts linear_cost(const Machine& machine, DType compute, const Gemm& g) {
  PassCosts costs{.forward = gemm_cost(machine, compute, g),
                  .backward = gemm_cost(machine, compute, {g.m, g.k, g.n, g.batch})};
  costs.backward += gemm_cost(machine, compute, {g.k, g.n, g.m, g.batch});
  return costs;
}

Cost pass_cost(const Machine& machine, double bytes) {
  Cost cost = kernels_cost(machine, 1);
  cost.compute += bytes / (machine.bandwidth * machine.bandwidth_efficiency);
  return cost;
}

Cost kernels_cost(const Machine& machine, double count) {
  return {.compute = count * machine.launch, .host = count * machine.host.kernel};
}

Cost collectives_cost(const Machine& machine, double count) { return {.host = count * machine.host.collective}; }

double exposed(const Machine& machine, double communication, double compute) {
  return communication - std::min(machine.overlap * communication, compute);
}

}  // namespace baton
