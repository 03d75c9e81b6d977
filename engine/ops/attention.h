#pragma once

#include <array>

#include "engine/tensor/tensor.h"

namespace baton {

struct AttentionOptions {
  float scale = 0;      // 0 means 1 / sqrt(head size); T5 uses 1
  bool causal = false;  // query i sees keys 0 … i (needs equally many queries and keys)
  Tensor bias;          // [H, Tq, Tk] or [1, Tq, Tk] f32 added to the scores, differentiable; undefined: none
  Tensor key_count;     // [B or 1, Tk] f32 multiplicity of each key: 0 hides it, n counts it n times (adds log n);
                        // undefined: all 1
};

// softmax(scale q k^T + bias + log key_count) v, in one pass with an online softmax: memory is linear in the sequence,
// forward and backward. q [B, Tq, H, D], k and v [B, Tk, H, D], any strides with a contiguous last dimension,
// f32 or bf16 (all the same); the result is contiguous [B, Tq, H, D] of q's dtype. k and v may have batch 1 (or stride
// 0) and then serve every item. Scores, softmax and sums are in f32. A query that sees no key gives zeros. Saves q, k,
// v, the result and the log-sum-exp [B, H, Tq] for the backward pass. (Rabe & Staats 2021; Dao 2023, FlashAttention-2.)
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options = {});

// Attention whose keys come in parts, at different times. Not recorded, without options.
struct AttentionPart {
  Tensor out;  // [B, Tq, H, D] f32, as if there were no other keys
  Tensor lse;  // [B, H, Tq] f32, log of the softmax's denominator
};
AttentionPart attention_part(const Tensor& q, const Tensor& k, const Tensor& v);
// What these keys contribute to the gradients of q, k and v (f32), given the result over all keys.
std::array<Tensor, 3> attention_part_gradients(const Tensor& q, const Tensor& k, const Tensor& v,
                                               const AttentionPart& whole, const Tensor& grad_out);

}  // namespace baton
