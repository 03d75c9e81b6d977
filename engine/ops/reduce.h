#pragma once

#include "engine/tensor/tensor.h"

// Sums in f32, in an order that depends on the shape alone. Results are f32.
namespace baton {

Tensor sum(const Tensor& x);   // [] (rank 0)
Tensor mean(const Tensor& x);  // [] (rank 0)
// Mean over all dimensions but the first: x [B, ...] -> [B].
Tensor mean_per_item(const Tensor& x);
// Mean over dimension `dim`, which disappears.
Tensor mean_dim(const Tensor& x, int dim);
// mean over all but the first dimension of (x - target)^2 -> [B], in one pass; target is not differentiated.
Tensor squared_error_per_item(const Tensor& x, const Tensor& target);
// True when every value is finite. Not recorded.
bool all_finite(const Tensor& x);

}  // namespace baton
