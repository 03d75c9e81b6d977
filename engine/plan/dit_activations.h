#pragma once

#include "engine/plan/dit_model.h"
#include "engine/plan/execution.h"

namespace baton {

// Bytes that Baton's tape keeps for the backward pass of one micro-batch, counted tensor by tensor along
// engine/models/wan_transformer.cpp and engine/ops: what a layer's backward pass reads, each storage once.

// In one block, with its share of what is computed from the text.
double dit_block_activations(const DitModel& model, const Execution& e, Recompute recompute);

// Copies of one block's weights in the type that products read, and joined where several matrices run as one.
double dit_block_weight_copies(const DitModel& model, const Execution& e, Recompute recompute);

// Before and after the blocks, copies of weights included: embeddings of patches, time and text, last layer, loss.
double dit_activations_outside(const DitModel& model, const Execution& e);

// In the text encoder, copies of weights included; 0 if it is not trained.
double text_encoder_activations(const DitModel& model, const Execution& e);

// The most that the backward pass needs besides: what the last block computes again, and gradients on their way, less
// what the last layer and the loss have let go of by then.
double dit_working(const DitModel& model, const Execution& e);

}  // namespace baton
