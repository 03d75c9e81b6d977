#pragma once

#include <optional>

#include "engine/ops/view.h"
#include "engine/tensor/tensor.h"

// Tensors as the matrices that kernels/gemm.h reads, copied only where strides leave no other way.
namespace baton {

// The step between neighbours of dimensions first … last - 1 seen as one, if there is such a step.
inline std::optional<int64_t> merged_step(const Tensor& x, int first, int last) {
  int64_t step = 0, size = 1;
  for (int i = last - 1; i >= first; --i) {
    if (x.dim(i) == 1) continue;
    if (size == 1)
      step = x.stride()[i];
    else if (x.stride()[i] != step * size)
      return std::nullopt;
    size *= x.dim(i);
  }
  return step;
}

// x [..., K] as [M, K], rows contiguous and apart.
inline Tensor as_rows(const Tensor& x) {
  const int last = x.rank() - 1;
  const int64_t columns = x.dim(last), rows = columns == 0 ? 0 : x.numel() / columns;
  const auto step = merged_step(x, 0, last);
  const bool readable = step && (columns == 1 || x.stride()[last] == 1) && (rows <= 1 || *step >= columns);
  if (readable) return x.alias({rows, columns}, {*step, 1});
  return contiguous(x.detach()).alias({rows, columns});
}

// The last two dimensions of x exchanged.
inline kernels::View transposed(kernels::View x) {
  std::swap(x.shape[x.rank - 2], x.shape[x.rank - 1]);
  std::swap(x.stride[x.rank - 2], x.stride[x.rank - 1]);
  return x;
}

// True if GEMM can read the last two dimensions as they lie.
inline bool is_matrix(const Tensor& x) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1), row_step = x.stride()[x.rank() - 2],
                column_step = x.stride()[x.rank() - 1];
  return ((column_step == 1 || columns == 1) && (row_step >= columns || rows == 1)) ||
         ((row_step == 1 || rows == 1) && (column_step >= rows || columns == 1));
}

}  // namespace baton
