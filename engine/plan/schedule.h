#pragma once

#include "engine/plan/execution.h"

namespace baton {

// Idle time of a pipeline over its ideal time: (p - 1) / (v m) for p stages of v pieces and m micro-batches
// (Narayanan et al. 2021).
double bubble(const Execution& e);

// Micro-batches whose activations the first stage holds at once, in units of all of its blocks: m under GPipe; under
// 1F1B at most p, with v > 1 pieces p (1 + (p - 1) / (p v)) (Korthikanti et al. 2022).
double micro_batches_in_flight(const Execution& e);

}  // namespace baton
