#pragma once

#include "engine/plan/gpt_model.h"
#include "engine/plan/plan.h"

namespace baton {

// Memory and time of a training step of a GPT. Training state is 18 bytes a parameter, as Korthikanti et al. count:
// weight 2, gradient 4, master weight 4, Adam 8. InputError when the mesh, the pieces or the batch do not divide.
Plan plan_gpt(const GptModel& model, const Execution& e, const Machine& machine);

// `e` with the micro-batch (a power of two) that fits and is fastest, for `batch` samples of a replica.
Execution with_best_micro_batch(const GptModel& model, Execution e, int64_t batch, const Machine& machine);

}  // namespace baton
