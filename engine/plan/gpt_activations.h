#pragma once

#include "engine/plan/execution.h"
#include "engine/plan/gpt_model.h"

namespace baton {

// Bytes that one layer keeps for its backward pass of one micro-batch, on each rank of its tensor-parallel group
// (Korthikanti et al. 2022, table 2).
double gpt_layer_activations(const GptModel& model, const Execution& e, Recompute recompute);

// What the first stage keeps in its layers: layers / p of them for each micro-batch in flight. The recomputation is
// that of `recompute`, not of `e`.
double gpt_activations(const GptModel& model, const Execution& e, Recompute recompute);

// And outside of them: the mask of the embedding's dropout; without pipeline stages also the last norm, the head's
// input and the logits.
double gpt_activations_outside(const GptModel& model, const Execution& e);

}  // namespace baton
