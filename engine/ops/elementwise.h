#pragma once

#include "engine/tensor/tensor.h"

// Elementwise arithmetic, f32 or bf16. Binary ops broadcast as numpy does; mixed dtypes give f32; gradients are summed
// back by the tape.
namespace baton {

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }

// a x + b
Tensor affine(const Tensor& x, float a, float b = 0);

// x + gate * y: x [B, T, D] f32 or bf16 (sets the result's dtype), y [B, T, D] f32 or bf16, gate [B, D] f32 or bf16,
// rows may be strided.
Tensor gated_add(const Tensor& x, const Tensor& gate, const Tensor& y);

// Functions of one tensor keep its dtype.
Tensor gelu_tanh(const Tensor& x);   // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
Tensor gelu(const Tensor& x);        // 0.5 x (1 + erf(x / sqrt 2))
Tensor quick_gelu(const Tensor& x);  // x sigmoid(1.702 x)
Tensor silu(const Tensor& x);        // x sigmoid(x)
Tensor relu(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor square(const Tensor& x);
Tensor abs(const Tensor& x);                           // gradient 0 at 0
Tensor rsqrt(const Tensor& x);                         // 1 / sqrt(x), x > 0
Tensor clamp(const Tensor& x, float low, float high);  // gradient 0 outside

Tensor cast(const Tensor& x, DType dtype);  // f32 <-> bf16; returns x itself if it has that dtype already

}  // namespace baton
