#pragma once

#include <functional>
#include <optional>

#include "engine/tensor/tensor.h"

// Normalisation over the last dimension D. Statistics in f32; x f32 or bf16; scale/shift/weight f32 or bf16.
// `out` chooses the dtype of the result (default: x's), so that a residual stream in f32 can feed bf16 GEMMs without a
// cast.
namespace baton {

// y = (x - mean) / sqrt(var + eps) * weight + bias; weight, bias [D] or undefined.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps, std::optional<DType> out = {});

// y = x / sqrt(mean(x^2) + eps) * weight; weight [D] or undefined. x [..., D], last dimension contiguous, rows may be
// strided.
Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps, std::optional<DType> out = {});

// rms_norm of rows of which x has only a part: `average` turns means over this part, [rows] f32, into means over the
// whole rows. It is called in the forward and in the backward pass.
Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps, const std::function<void(const Tensor&)>& average);

// y = layer_norm(x) * (1 + scale) + shift;  x [B, T, D], scale and shift [B, D] (last dimension contiguous, rows may be
// strided). (DiT's adaLN.)
Tensor modulated_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, float eps,
                      std::optional<DType> out = {});

// y = x / max(||x||_2, 1e-12) * sqrt(D) * weight: torch's F.normalize as AutoencoderKLWan's RMS norm uses it, over
// channels-last rows. If `silu`, the result goes through SiLU in the same pass.
Tensor l2_norm(const Tensor& x, const Tensor& weight, bool silu, std::optional<DType> out = {});

}  // namespace baton
