#pragma once

#include "engine/tensor/tensor.h"

namespace baton {

// table[ids]: ids [...] i32 in [0, V), table [V, D] f32 or bf16 -> [..., D] of `out` (default: the table's dtype).
// dtable is f32, dense.
Tensor embedding(const Tensor& ids, const Tensor& table, std::optional<DType> out = {});

// The sinusoidal embedding of diffusers' `Timesteps(dim, flip_sin_to_cos=True, downscale_freq_shift=0)`: t [B] f32 ->
// [B, dim] f32 = [cos(t w), sin(t w)], w_i = 10000^(-i / (dim/2)). Not differentiated.
Tensor timestep_embedding(const Tensor& t, int64_t dim);

}  // namespace baton
