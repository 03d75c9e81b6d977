#pragma once

#include "engine/tensor/tensor.h"

// Images are channels-last: x [B, H, W, C].
namespace baton {

struct Padding {
  int top = 0, bottom = 0, left = 0, right = 0;
};

// weight [O, I, kh, kw] (diffusers' order; any strides, so a temporal slice of a 3-D weight needs no copy), bias [O]
// f32 or undefined. x f32 or bf16, weight of the same dtype; result of x's dtype, sums in f32. dW and db are f32.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int stride, Padding padding);

// Nearest neighbour: [B, H, W, C] -> [B, 2H, 2W, C]. (torch's "nearest-exact" for a factor of two is the same.)
Tensor upsample2x(const Tensor& x);

}  // namespace baton
