#pragma once

#include <cstdint>
#include <vector>

namespace baton {

using Shape = std::vector<int64_t>;  // printed as [2, 64, 256] by fmt

inline int64_t numel(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

}  // namespace baton
