#pragma once

#include <span>
#include <vector>

#include "engine/tensor/tensor.h"

// Classifier-free guidance (Ho & Salimans 2022).
namespace baton {

// At 1 and below the unconditional half is not needed, as in diffusers.
inline bool guided(float scale) { return scale > 1; }

// unconditional + scale (conditional - unconditional); f32, not differentiated.
Tensor guide(const Tensor& conditional, const Tensor& unconditional, float scale);

// One scale for each expert, from one for all or one for each.
std::vector<float> guidance_per_expert(std::span<const double> scales, int experts);

}  // namespace baton
