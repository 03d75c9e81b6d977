#pragma once

#include <vector>

#include "engine/plan/plan_dit.h"
#include "engine/plan/plan_gpt.h"

namespace baton {

template <typename Run>
struct Found {
  Run run;
  Plan plan;
};

// The fastest way to run a step on `ranks` ranks that fits, for each mesh: of micro-batch (powers of two),
// interleaving, recomputation, sequence parallelism and ZeRO stage up to `most_zero`. Fastest mesh first; if nothing
// fits, the one that lacks least. Axis tp stays inside a node.
std::vector<Found<DitRun>> search_dit(const DitModel& model, int64_t ranks, int64_t batch, int64_t most_zero,
                                      const Machine& machine);
std::vector<Found<Execution>> search_gpt(const GptModel& model, int64_t ranks, int64_t batch, const Machine& machine);

}  // namespace baton
