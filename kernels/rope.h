#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// (y[2i], y[2i + 1]) = (x[2i] c - x[2i + 1] s, x[2i] s + x[2i + 1] c) with c = cos[t, i], s = sin[t, i]; `inverse`
// takes -s. x [B, T, H, D] any strides but a contiguous last dimension; cos, sin [T, D/2] f32 contiguous; y [B, T, H,
// D] contiguous. x, y f32 or bf16.
struct RopeArgs {
  View x, cos, sin, y;
  bool inverse;
};

namespace cpu {
void rope(const RopeArgs&);
}

}  // namespace baton::kernels
