#pragma once

#include <cstdint>

namespace baton::kernels::cpu {

// The gradient of a linear layer's weight, dw [N, K] = dy^T x, of dy [M, N] and x [M, K]; all f32 and without gaps. For
// processors without AVX-512, where oneDNN's product of such matrices runs at half its rate.
void weight_gradient(const float* dy, const float* x, float* dw, int64_t m, int64_t n, int64_t k);

}  // namespace baton::kernels::cpu
