#pragma once

#include "engine/core/shape.h"

namespace baton {

// Whether elements, strides and bytes of a shape from outside can be counted at all. Sizes of 0 hide nothing: strides
// are products of the others.
inline bool is_countable(const Shape& shape) {
  constexpr int64_t largest_dtype = 8;  // bytes
  int64_t n = largest_dtype;
  for (int64_t d : shape)
    if (d < 0 || (d > 0 && __builtin_mul_overflow(n, d, &n))) return false;
  return true;
}

}  // namespace baton
