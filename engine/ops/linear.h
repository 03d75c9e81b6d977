#pragma once

#include "engine/tensor/tensor.h"

namespace baton {

enum class Activation { none, gelu_tanh, gelu, quick_gelu, silu, relu };

// y = activation(x W^T + b).  x [..., K] f32 or bf16; weight [N, K] of x's dtype; bias [N] f32 or x's dtype, or undefined; y [..., N] of x's dtype
// (sums in f32). Without recording, bias and activation are fused into the GEMM and the packed weight is cached for tensors
// borrowed from files or marked with keep_packed(). Gradients: dx in x's dtype, dW and db in f32.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Activation activation = Activation::none);

// C = op(A) op(B): a [.., M, K] and b [.., K, N] after the optional transpositions of the last two dimensions; f32 or bf16, the same leading
// dimensions or none on b. out_dtype defaults to a's. Differentiable.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false, std::optional<DType> out_dtype = {});

}  // namespace baton
