#pragma once

#include <span>
#include <vector>

#include "engine/tensor/tensor.h"

namespace baton {

// Solvers and guidance need one operation on latents: a weighted sum. Latents are f32, contiguous and of one shape;
// weights and sums are in double, so nothing is lost where large weights of nearly equal latents cancel. Not recorded.
struct Term {
  double weight;
  Tensor latents;
};
Tensor combine(const std::vector<Term>& terms);

}  // namespace baton
