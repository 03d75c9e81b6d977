#pragma once

#include "kernels/view.h"

// Sums in f32 in an order that depends on the shapes alone. (Plain sums are sum_to() in kernels/accumulate.h.)
namespace baton::kernels {

// out[b] = mean over n of (x[b, n] - target[b, n])^2: x, target [B, N] contiguous f32 or bf16, out [B] f32.
struct SquaredErrorArgs {
  View x, target, out;
};
// dx[b, n] = 2 / N (x[b, n] - target[b, n]) dout[b]: dx of x's dtype.
struct SquaredErrorBackwardArgs {
  View x, target, dout, dx;
};

namespace cpu {
void squared_error(const SquaredErrorArgs&);
void squared_error_backward(const SquaredErrorBackwardArgs&);
// True when no value of x (contiguous, f32 or bf16) is infinite or NaN.
bool all_finite(const View& x);
}  // namespace cpu

}  // namespace baton::kernels
