#pragma once

#include "engine/comm/group.h"
#include "engine/tensor/tensor.h"

namespace baton {

// Self-attention over a sequence that lies in even_parts() on the ranks of `ring`: keys and values travel from rank to
// rank, each block's transfer under way while the one before is worked on, and results are merged by their softmax
// denominators (Liu et al. 2023, arXiv:2310.01889). q, k, v [B, my part of T, H, d], f32 or bf16 -> the same shape and
// type. In the backward pass the gradients of keys and values travel along with them. A ring of one is attention().
Tensor ring_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t tokens, Group& ring);

}  // namespace baton
