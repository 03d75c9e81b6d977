#pragma once

#include "engine/train/optimizer.h"
#include "kernels/view.h"

// What the optimizers share. Nobody else needs this header.
namespace baton {

// Muon's matrices: those inside the blocks of a denoiser or text encoder. Tables that are looked up are no linear maps.
bool is_block_matrix(const Parameter& parameter);

std::vector<Tensor> zeros_like(const Parameters& parameters);
// Appends KIND.NAME for each of the parameters.
void name_state(Parameters& state, const std::string& kind, const Parameters& parameters,
                const std::vector<Tensor>& values);
kernels::View average_of(const Averaged& targets, size_t index);

}  // namespace baton
