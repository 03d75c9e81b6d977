#pragma once

#include <vector>

#include "engine/tensor/tensor.h"

// Differentiable changes of shape. reshape (of contiguous tensors), narrow and expand give windows on the same memory;
// the others copy.
namespace baton {

Tensor reshape(const Tensor& x, Shape shape);                    // one -1 is inferred; copies only if it must
Tensor contiguous(const Tensor& x);                              // x itself if it is contiguous already
Tensor permute(const Tensor& x, const std::vector<int>& order);  // contiguous copy with dimensions reordered
Tensor narrow(const Tensor& x, int dim, int64_t start, int64_t length);
Tensor expand(const Tensor& x, Shape shape);  // size-1 dimensions repeat with stride 0
Tensor concat(const std::vector<Tensor>& parts, int dim);
// Windows of the given sizes along dim; their gradients meet in one tensor.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int dim);
// out[i] = x[index[i]] along the first dimension; index i32 [N], not necessarily distinct. The gradient scatters and
// adds.
Tensor gather_rows(const Tensor& x, const Tensor& index);

// target = source, of the same shape and any dtypes and strides; not recorded. For windows on memory that an op fills.
void copy_into(const Tensor& source, const Tensor& target);

}  // namespace baton
