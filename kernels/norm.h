#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// What a row is divided by: layer: x - mean over sqrt(variance + eps); rms: x over sqrt(mean of squares + eps);
// l2: x over max(norm, eps) / sqrt(D).
enum class Norm { layer, rms, l2 };

// z = (x - mean) rstd (scale_offset + scale) + shift; y = silu ? SiLU(z) : z, over rows of D values, one row at a time.
//   x            [B, T, D], any strides but a contiguous last dimension, f32 or bf16
//   scale, shift [B, D] rows of f32 or bf16, or [D] shared by all; absent: a factor of 1, an addend of 0
//   y            [B, T, D] contiguous, f32 or bf16
//   mean, rstd   [B T] f32, written for the backward pass if present (mean: only for Norm::layer)
// Norm::rms of rows that have further values elsewhere takes two calls: without y, which gives their rstd; and with
// rstd_given, which reads that of the whole rows.
struct NormArgs {
  Norm kind;
  bool silu;
  float eps, scale_offset;
  View x, scale, shift, y, mean, rstd;
  bool rstd_given = false;
};

// dx [B, T, D] contiguous of x's dtype; dscale, dshift f32 contiguous of scale's and shift's shape. Each may be absent.
// Nothing accumulates. Of rows that have further values elsewhere: without dx, mean_gu [B T] is written, the mean of
// dz (scale_offset + scale) (x rstd); with mean_gu_given, dx reads that of the whole rows.
struct NormBackwardArgs {
  Norm kind;
  bool silu;
  float eps, scale_offset;
  View dy, x, scale, shift, mean, rstd;
  View dx, dscale, dshift;
  View mean_gu = {};
  bool mean_gu_given = false;
};

namespace cpu {
void norm(const NormArgs&);
void norm_backward(const NormBackwardArgs&);
}  // namespace cpu

}  // namespace baton::kernels
