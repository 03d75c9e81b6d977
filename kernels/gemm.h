#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// gelu_tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), gelu: 0.5 x (1 + erf(x / sqrt 2)), quick_gelu: x
// sigmoid(1.702 x), silu: x sigmoid(x).
enum class Activation : uint8_t { none, gelu_tanh, gelu, quick_gelu, silu, relu };

// c = activation(a b + bias), sums in f32.
// a [M, K], b [K, N], c [M, N], bias [N] (or absent); or all three with one batch dimension in front, where a batch of
// 1 in a or b serves every item. a and b are both f32 or both bf16; c and bias f32 or bf16. K = 0 only without bias. Of
// the last two strides of a and b one is 1 and the other at least the size it steps over: a transposed matrix is a View
// with its strides exchanged. c and bias have a last stride of 1.
struct GemmArgs {
  View a, b, bias, c;
  Activation activation = Activation::none;
  bool b_is_packed =
      false;  // b.data was written by pack_b() with the shape and dtype of b; its strides are ignored. No batch then
};

namespace cpu {

void gemm(const GemmArgs&);

// The layout in which this processor's GEMM reads b [K, N] fastest, whatever M is.
int64_t packed_b_bytes(int64_t k, int64_t n, DType dtype);
// b [K, N] f32 or bf16, strides as in GemmArgs; `packed` is 64-byte aligned and holds packed_b_bytes(K, N, dtype)
// bytes.
void pack_b(const View& b, DType dtype, void* packed);

}  // namespace cpu
}  // namespace baton::kernels
