#pragma once

#include "engine/autograd/recompute.h"
#include "engine/parallel/mesh.h"
#include "engine/parallel/pipeline.h"

namespace baton {

// How a step is run. The mesh is that of one group of experts, with its number of replicas as dp.
struct Execution {
  MeshSpec mesh;
  int64_t micro_batch = 1;    // samples of a replica that go through at once
  int64_t micro_batches = 1;  // of a replica in a step
  int64_t interleave = 1;     // pieces of the stack that a pipeline stage has
  PipelineOrder order = PipelineOrder::one_f_one_b;
  Recompute recompute = Recompute::off;
  int64_t recompute_every = 1;  // in every so many blocks
  bool sequence_parallel = false;
  int64_t zero = 0;  // 1: optimizer state, 2: gradients too, 3: weights too are divided over the replicas

  double size(Axis axis) const { return mesh.size(axis); }
};

}  // namespace baton
