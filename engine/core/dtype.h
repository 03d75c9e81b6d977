#pragma once

#include <string_view>

#include "kernels/view.h"

namespace baton {

using kernels::DType;
using kernels::size_of;

// "f32", "bf16", …: the names used on the command line and in messages.
std::string_view name(DType dtype);

// bf16 <-> f32, round to nearest even; NaN stays NaN.
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
float f16_to_f32(uint16_t bits);

constexpr bool is_floating(DType d) {
  return d == DType::f32 || d == DType::bf16 || d == DType::f16 || d == DType::f64;
}

}  // namespace baton
