#pragma once

#include <array>
#include <string>

#include "engine/plan/execution.h"
#include "engine/plan/machine.h"

namespace baton {

// Bytes of the fullest rank.
struct MemoryPlan {
  double weights = 0, gradients = 0, optimizer = 0;
  double state_outside = 0;                // of a GPT's embedding table, which the papers leave out of their figures
  double compute_weights = 0;              // copies of the weights in the type that products read
  double activations = 0;                  // kept in the blocks for the backward pass
  double activations_outside = 0;          // … outside of them
  double working = 0;                      // of the operation that needs most, besides all this
  double buffers = 0;                      // messages under way
  std::array<double, 3> activations_if{};  // in the blocks with recomputation off, selective, full

  double state() const { return weights + gradients + optimizer; }
  double peak() const;
};

// Seconds of a step on the slowest rank.
struct TimePlan {
  double compute = 0;
  double optimizer = 0;
  std::array<double, axis_count> communication{};
  double host = 0;                             // in which devices wait for the host to start their work
  double idle = 0;                             // in the pipeline, before the first and after the last micro-batch
  double model_flops = 0, hardware_flops = 0;  // of the whole step on all ranks; hardware: with what is recomputed

  double step() const;
};

struct Plan {
  std::string mesh;     // with the replicas of every group of experts
  Execution execution;  // of the slowest group
  int64_t ranks = 1;
  MemoryPlan memory;
  TimePlan time;
  double peak_flops = 0;  // of all ranks, per second

  bool fits(const Machine& machine) const;
  double mfu() const { return time.model_flops / time.step() / peak_flops; }
  double hfu() const { return time.hardware_flops / time.step() / peak_flops; }
};

// Share of a device's memory that tensors can have: the rest is for the runtime, kernels and fragmentation.
constexpr double usable_memory = 0.94;

}  // namespace baton
