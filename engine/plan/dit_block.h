#pragma once

#include "engine/plan/cost.h"
#include "engine/plan/dit_model.h"
#include "engine/plan/execution.h"

namespace baton {

// One block of one expert, one micro-batch, on one rank: products, an attention that never writes its scores, and the
// passes that only move memory. Collectives: three sums each way over tp, or with sequence parallelism three gathers
// and reduce-scatters; over ulysses q, k, v and the result are traded; over ring keys and values travel.
PassCosts dit_block_cost(const DitModel& model, const Execution& e, const Machine& machine);

// Besides the blocks: patches, time, text and the text encoder at the start, the last layer and the loss at the end.
PassCosts dit_ends_cost(const DitModel& model, const Execution& e, const Machine& machine);

}  // namespace baton
