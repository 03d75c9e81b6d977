#pragma once

#include "kernels/view.h"

// Elementwise arithmetic in f32 over f32 or bf16 storage.
namespace baton::kernels {

enum class Binary { add, sub, mul };

// out = a op b; a and b any strides, broadcast to out's shape as numpy does; out contiguous. Any mix of f32 and bf16.
struct BinaryArgs {
  Binary op;
  View a, b, out;
};

enum class Unary { affine, gelu_tanh, gelu, quick_gelu, silu, relu, exp, square, abs, rsqrt, clamp };

// y = f(x), or dx = f'(x) dy. All contiguous and of one shape; y and dx have x's dtype, dy is f32 or bf16.
// affine: a x + b; clamp: to [a, b].
struct UnaryArgs {
  Unary op;
  float a, b;
  View x, y;
};
struct UnaryBackwardArgs {
  Unary op;
  float a, b;
  View x, dy, dx;
};

// out = x + gate y.  x, y, out [B, T, D] contiguous, out of x's dtype; gate [B, D], last dimension contiguous.
struct GatedAddArgs {
  View x, gate, y, out;
};
// dy = gate dout [B, T, D] contiguous of y's dtype; dgate [B, D] f32 contiguous = sum over T of dout y. Either may be
// absent.
struct GatedAddBackwardArgs {
  View dout, gate, y, dgate, dy;
};

namespace cpu {
void binary(const BinaryArgs&);
void unary(const UnaryArgs&);
void unary_backward(const UnaryBackwardArgs&);
void gated_add(const GatedAddArgs&);
void gated_add_backward(const GatedAddBackwardArgs&);
}  // namespace cpu

}  // namespace baton::kernels
