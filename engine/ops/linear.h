#pragma once

#include <array>

#include "engine/tensor/tensor.h"
#include "kernels/gemm.h"

namespace baton {

using kernels::Activation;  // none, gelu_tanh, gelu, quick_gelu, silu, relu

// The op of engine/ops/elementwise.h that the name stands for.
Tensor activate(const Tensor& x, Activation activation);

// y = activation(x W^T + b).  x [..., K] f32 or bf16; weight [N, K] of x's dtype; bias [N] f32 or bf16, or undefined; y
// [..., N] of x's dtype (sums in f32). Without recording, bias and activation are fused into the GEMM. Gradients: dx in
// x's dtype, dW and db in f32.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Activation activation = Activation::none);

// The gradients of x, the weight and the bias (undefined without one) of y = x W^T + b, for a caller that brings x
// itself. Not recorded.
std::array<Tensor, 3> linear_gradients(const Tensor& x, const Tensor& weight, bool bias, const Tensor& grad_y);

// A weight [N, K] in the blocked layout that this processor's GEMM likes best, in the given dtype: made once, for
// sampling. Keeps no reference to the original. Copies share memory. A processor without bf16
// instructions keeps values that were rounded to bf16 as f32: twice the bytes, and no conversion at each call.
class PackedWeight {
 public:
  PackedWeight() = default;
  PackedWeight(const Tensor& weight, DType dtype);
  explicit operator bool() const { return impl_ != nullptr; }
  int64_t bytes() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
  friend Tensor linear(const Tensor&, const PackedWeight&, const Tensor&, Activation);
};
// The same as above for sampling; not recorded.
Tensor linear(const Tensor& x, const PackedWeight& weight, const Tensor& bias = {},
              Activation activation = Activation::none);

// C = op(A) op(B): a [.., M, K] and b [.., K, N] after the optional transpositions of the last two dimensions; f32 or
// bf16, the same leading dimensions or none on b. out_dtype defaults to a's. Differentiable.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false,
              std::optional<DType> out_dtype = {});

}  // namespace baton
