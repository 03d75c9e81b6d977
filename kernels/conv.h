#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// 2-D convolution (as networks mean it: cross-correlation) of channels-last images:
//   y[b, i, j, o] = bias[o] + sum over u, v, c of x[b, i stride + u - top, j stride + v - left, c] weight[o, c, u, v],
//   x = 0 outside.
// x [B, H, W, I] and y [B, H', W', O] contiguous, both f32 or both bf16; weight [O, I, kh, kw]; bias [O] f32 or absent.
// Sums in f32. H' = (H + top + bottom - kh) / stride + 1, rounded down.
struct ConvArgs {
  View x, weight, bias, y;
  int stride = 1;
  int top = 0, bottom = 0, left = 0, right = 0;
};

namespace cpu {

// Writes y. weight has x's dtype and any strides.
void conv2d(const ConvArgs&);
// Reads y as the gradient dy and writes x, the gradient dx. weight has x's dtype and any strides; no bias.
void conv2d_backward_data(const ConvArgs&);
// Reads x and y as the gradient dy and writes weight, the gradient dW: f32 and contiguous; no bias.
void conv2d_backward_weight(const ConvArgs&);

}  // namespace cpu
}  // namespace baton::kernels
