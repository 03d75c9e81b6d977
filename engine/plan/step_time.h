#pragma once

#include "engine/plan/collective.h"
#include "engine/plan/cost.h"
#include "engine/plan/plan.h"

namespace baton {

// What the stages of a pipeline do for one micro-batch, and what a rank does once a step.
struct StepWork {
  PassCosts block;
  double blocks = 1;          // of a stage, the longest
  PassCosts first, last;      // besides the blocks, on the first and last stage
  double stage_bytes = 0;     // that one stage hands to the next, on each rank
  double gather_bytes = 0;    // … and that the ranks of axis tp then gather to have it whole
  double gradient_bytes = 0;  // of a rank, summed over `replicas`
  Place replicas;
  double optimizer_bytes = 0;  // moved in memory by the update
  double optimizer_flops = 0;
};

// A step is m micro-batches of the slowest stage, the pipeline's filling and draining, the sum of gradients of which
// the last backward pass hides a part, and the update. The blocks and what stands outside of them, forward and
// backward, are four parts of which each takes its device's time or its host's, whichever is longer. FLOPs are left to
// the caller.
TimePlan step_time(const StepWork& work, const Execution& e, const Machine& machine, DType compute);

}  // namespace baton
