#pragma once

#include "engine/plan/dit_model.h"
#include "engine/plan/plan.h"

namespace baton {

// What is asked for: a mesh in all its axes, and how a step over `batch` samples is run on it.
struct DitRun {
  MeshSpec mesh;
  int64_t ranks = 1;
  int64_t batch = 1;
  int64_t micro_batch = 1;
  PipelineOrder order = PipelineOrder::one_f_one_b;
  int64_t interleave = 1;
  Recompute recompute = Recompute::off;
  int64_t recompute_every = 1;
  bool sequence_parallel = false;
  int64_t zero = 0;
};

// Memory of the fullest rank and time of the slowest group of experts. Without an axis ep all ranks hold all experts;
// with it each group holds its own, and gets as many replicas as its share of the samples asks for. InputError when the
// mesh does not fit the model.
Plan plan_dit(const DitModel& model, const DitRun& run, const Machine& machine);

}  // namespace baton
