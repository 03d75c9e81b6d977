#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "kernels/view.h"

namespace baton {

using kernels::DType;
using kernels::size_of;

// "f32", "bf16", …: the names used on the command line and in messages.
std::string_view name(DType dtype);

// bf16 <-> f32, round to nearest even; NaN stays NaN. Inline and without a jump, so that loops over them are vectors.
inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
inline uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1), quiet = bits | 0x400000;  // never an infinity
  return static_cast<uint16_t>(((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
}
float f16_to_f32(uint16_t bits);

constexpr bool is_floating(DType d) {
  return d == DType::f32 || d == DType::bf16 || d == DType::f16 || d == DType::f64;
}

}  // namespace baton
