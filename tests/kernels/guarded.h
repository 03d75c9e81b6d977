#pragma once

#include <cstring>
#include <vector>

#include "kernels/view.h"

namespace baton::test {

// Contiguous memory between two guard zones, for the outputs of kernels: intact() tells whether anything outside was
// written. It starts as NaN (0xff bytes), so that elements a kernel forgot are seen too.
class Guarded {
 public:
  Guarded(std::vector<int64_t> shape, kernels::DType dtype) {
    view_.dtype = dtype;
    view_.rank = static_cast<int>(shape.size());
    int64_t count = 1;
    for (int i = view_.rank - 1; i >= 0; --i) {
      view_.shape[i] = shape[i];
      view_.stride[i] = count;
      count *= shape[i];
    }
    bytes_ = count * kernels::size_of(dtype);
    memory_.assign(bytes_ + 2 * zone, guard);
    view_.data = memory_.data() + zone;
    std::memset(view_.data, 0xff, bytes_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  const kernels::View& view() const { return view_; }
  bool intact() const {
    for (int64_t i = 0; i < zone; ++i)
      if (memory_[i] != guard || memory_[zone + bytes_ + i] != guard) return false;
    return true;
  }

 private:
  static constexpr int64_t zone = 256;
  static constexpr uint8_t guard = 0xa5;
  int64_t bytes_ = 0;
  std::vector<uint8_t> memory_;
  kernels::View view_;
};

}  // namespace baton::test
