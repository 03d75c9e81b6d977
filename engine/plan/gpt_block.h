#pragma once

#include "engine/plan/cost.h"
#include "engine/plan/execution.h"
#include "engine/plan/gpt_model.h"

namespace baton {

// One layer, one micro-batch, on one rank of its tensor-parallel group, as Megatron runs it: fused softmax, GeLU and
// dropout-add; attention that writes its scores; weight gradients added up in f32. Kernels forward: 4 products with
// weights, 2 of attention, softmax, its dropout, 2 norms, 2 dropouts with residual, GeLU, 2 transpositions. Backward:
// twice those for products, once for the rest, and 22 small ones.
PassCosts gpt_block_cost(const GptModel& model, const Execution& e, const Machine& machine);

// What the last stage does besides: logits, cross entropy and their gradients.
PassCosts gpt_head_cost(const GptModel& model, const Execution& e, const Machine& machine);

// And the first: the gradient of the embedding table.
PassCosts gpt_embedding_cost(const GptModel& model, const Execution& e, const Machine& machine);

}  // namespace baton
