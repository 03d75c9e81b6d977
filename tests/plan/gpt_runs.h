#pragma once

#include <optional>

#include "engine/plan/plan_gpt.h"

// Published training runs of GPTs on A100 80 GB, all with a sequence of 2,048 and a vocabulary of 51,200.
namespace baton::test {

struct GptRun {
  const char* name;
  int64_t heads, hidden, layers;
  int tp, pp, dp;
  int64_t batch, micro_batch;  // 0: not published
  int64_t interleave;
  Recompute recompute;
  bool sequence_parallel;
  double seconds;
  int64_t zero = 0;
};

inline GptModel model_of(const GptRun& r) { return {r.layers, r.hidden, r.heads, 2048, 51200}; }

inline Execution execution_of(const GptRun& r, const Machine& machine) {
  Execution e{
      .interleave = r.interleave, .recompute = r.recompute, .sequence_parallel = r.sequence_parallel, .zero = r.zero};
  e.mesh.sizes[static_cast<int>(Axis::tp)] = r.tp;
  e.mesh.sizes[static_cast<int>(Axis::pp)] = r.pp;
  e.mesh.sizes[static_cast<int>(Axis::dp)] = r.dp;
  if (r.micro_batch == 0) return with_best_micro_batch(model_of(r), e, r.batch / r.dp, machine);
  e.micro_batch = r.micro_batch;
  e.micro_batches = r.batch / r.dp / r.micro_batch;
  return e;
}

}  // namespace baton::test
