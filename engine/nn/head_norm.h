#pragma once

#include "engine/nn/parameters.h"

namespace baton {

// RMS norm across all heads, as Wan applies it to queries and keys: parameter `weight` [D] of the scope, D = heads
// times head size. Where tp shares the heads out, the mean of squares is taken over the ranks.
class HeadNorm {
 public:
  HeadNorm(const Scope& scope, int64_t width, float eps);
  // x [B, T, this rank's share of D] f32 or bf16 -> the same.
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_;
  int64_t width_;
  float eps_;
  Layout layout_;
};

}  // namespace baton
