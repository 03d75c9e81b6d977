#pragma once

#include <algorithm>
#include <array>

#include "kernels/view.h"

namespace baton::kernels::cpu {

// The nest of loops that visits the elements of N operands of one shape: dimensions of size 1 are gone and neighbours
// are merged where every operand allows it, so that a contiguous operand becomes a single loop. Rank is at least 1.
template <int N>
struct Loops {
  int rank = 0;
  int64_t shape[max_rank] = {};
  std::array<int64_t, N> stride[max_rank] = {};

  // Appends an inner dimension.
  void add(int64_t size, const std::array<int64_t, N>& strides) {
    if (size == 1) return;
    if (rank > 0 && mergeable(size, strides)) {
      shape[rank - 1] *= size;
    } else {
      shape[rank++] = size;
    }
    stride[rank - 1] = strides;
  }
  void finish() {
    if (rank == 0) shape[rank++] = 1;
  }
  int64_t inner() const { return shape[rank - 1]; }
  int64_t inner_stride(int operand) const { return stride[rank - 1][operand]; }
  // The number of times that the innermost loop runs.
  int64_t rows() const {
    int64_t n = 1;
    for (int i = 0; i + 1 < rank; ++i) n *= shape[i];
    return n;
  }

 private:
  bool mergeable(int64_t size, const std::array<int64_t, N>& strides) const {
    for (int k = 0; k < N; ++k)
      if (stride[rank - 1][k] != strides[k] * size) return false;
    return true;
  }
};

// Steps through the rows (all loops but the innermost one) and knows where each operand's row starts.
template <int N>
class RowCursor {
 public:
  RowCursor(const Loops<N>& loops, int64_t row) : loops_(loops) {
    for (int i = loops.rank - 2; i >= 0; row /= loops.shape[i--]) {
      index_[i] = row % loops.shape[i];
      for (int k = 0; k < N; ++k) offset_[k] += index_[i] * loops.stride[i][k];
    }
  }
  int64_t offset(int operand) const { return offset_[operand]; }
  void next() {
    for (int i = loops_.rank - 2; i >= 0; --i) {
      const bool carry = ++index_[i] == loops_.shape[i];
      const int64_t steps = carry ? 1 - loops_.shape[i] : 1;
      for (int k = 0; k < N; ++k) offset_[k] += steps * loops_.stride[i][k];
      if (!carry) return;
      index_[i] = 0;
    }
  }

 private:
  const Loops<N>& loops_;
  int64_t index_[max_rank] = {};
  int64_t offset_[N] = {};
};

// Strides of `v` seen with the dimensions of a larger shape of rank `rank`, as numpy broadcasts: 0 where it repeats.
inline std::array<int64_t, max_rank> broadcast_strides(const View& v, int rank) {
  std::array<int64_t, max_rank> strides{};
  for (int i = 0; i < v.rank; ++i) strides[rank - v.rank + i] = v.shape[i] == 1 ? 0 : v.stride[i];
  return strides;
}

inline void* at(const View& v, int64_t offset) { return static_cast<char*>(v.data) + offset * size_of(v.dtype); }

}  // namespace baton::kernels::cpu
