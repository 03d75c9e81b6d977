#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// What attention reads. The last dimension of q, k, v is contiguous; a k, v or key_count of batch 1 serves every item;
// a bias of one head every head.
struct AttentionInputs {
  View q;          // [B, Tq, H, D] f32 or bf16
  View k, v;       // [B | 1, Tk, H, D] of q's dtype
  View bias;       // [H | 1, Tq, Tk] f32, last dimension contiguous; absent: none
  View key_count;  // [B | 1, Tk] f32, last dimension contiguous; absent: all 1
  float scale;
  bool causal;  // query i sees keys 0 … i
};

// out = softmax(scale q k^T + bias + log key_count) v, lse = log of the softmax's denominator (+inf where a query sees
// no key; out is then 0).
struct AttentionForwardArgs {
  AttentionInputs in;
  View out;        // [B, Tq, H, D] f32 or bf16, last dimension contiguous
  View lse;        // [B, H, Tq] f32 contiguous, or absent
  float* scratch;  // attention_forward_scratch() floats, 64-byte aligned
};

// With P = exp(score - lse), dP = grad_out v^T and dS = P (dP - rowsum(grad_out out)):
//   grad_v = P^T grad_out   grad_q = scale dS k   grad_k = scale dS^T q   grad_bias = sum of dS over the batch (and the
//   heads, if it has one)
// Each is assigned, except grad_bias, to which its sum is added; an absent one is not computed. Items that share k and
// v still get a gradient each.
struct AttentionBackwardArgs {
  AttentionInputs in;
  View out, grad_out;           // [B, Tq, H, D] f32 or bf16, last dimension contiguous
  View lse;                     // [B, H, Tq] f32 contiguous
  View grad_q, grad_k, grad_v;  // [B, Tq, H, D], [B, Tk, H, D] twice; f32 or bf16, last dimension contiguous
  View grad_bias;               // as in.bias, contiguous
  float* scratch;               // attention_backward_scratch() floats, 64-byte aligned
};

namespace cpu {
// The number of floats of scratch memory for these arguments on the present number of threads; `scratch` is not read.
// Forward: a few tiles a thread. Backward: besides, Tq x D numbers a thread (or for each part into which the keys were
// divided to occupy all threads).
int64_t attention_forward_scratch(const AttentionForwardArgs&);
int64_t attention_backward_scratch(const AttentionBackwardArgs&);
void attention_forward(const AttentionForwardArgs&);
void attention_backward(const AttentionBackwardArgs&);
}  // namespace cpu

}  // namespace baton::kernels
