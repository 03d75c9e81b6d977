#pragma once

#include <vector>

#include "engine/tensor/tensor.h"

namespace baton {

// [B, T, H * d] -> [B, T, H, d], a window.
Tensor split_heads(const Tensor& x, int64_t heads);
// [B, T, H, d] -> [B, T, H * d].
Tensor merge_heads(const Tensor& x);

}  // namespace baton
