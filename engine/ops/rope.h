#pragma once

#include "engine/tensor/tensor.h"

namespace baton {

// Rotates the pairs (x[2i], x[2i+1]) of each head by the angle whose cosine and sine are given: x [B, T, H, D] f32 or
// bf16, D even, rows may be strided; cos, sin [T, D/2] f32, not differentiated. The result is contiguous. (Su et al.
// 2021; the interleaved form that Wan uses.)
Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin);

}  // namespace baton
