#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/attention.h"

// How attention is divided into tiles, and where the rows of its tensors lie. The same for every instruction set.
namespace baton::kernels::cpu {

// Many queries share the work of loading and transposing a tile of keys; the backward pass has more tiles to keep in
// the second level of the cache.
constexpr int64_t forward_queries = 256, backward_queries = 128, key_tile = 128;

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
constexpr int64_t pad(int64_t n) { return round_up(n, 16); }  // to the widest vector

// From one row of a tile to the next: an odd number of cache lines, so that what stands in one column lies in different
// sets of the cache. (With 64 or 128 numbers a row, a product's column would have a quarter or an eighth of them.)
constexpr int64_t row_step(int64_t n) { return pad(n) | 16; }
constexpr int64_t key_step = row_step(key_tile);

// The rows [t, …] of one item and head of a tensor [B, T, H, D].
struct Rows {
  void* data;
  DType dtype;
  int64_t stride;

  template <typename T>
  T* at(int64_t i) const {
    return static_cast<T*>(data) + i * stride;
  }
};

inline Rows rows_of(const View& x, int64_t batch, int64_t head, int64_t first) {
  const int64_t offset = (x.shape[0] == 1 ? 0 : batch * x.stride[0]) + first * x.stride[1] + head * x.stride[2];
  return {x.as<char>() + offset * size_of(x.dtype), x.dtype, x.stride[1]};
}

inline float* bias_row(const View& bias, int64_t head, int64_t query) {
  return bias.as<float>() + (bias.shape[0] == 1 ? 0 : head * bias.stride[0]) + query * bias.stride[1];
}

inline const float* key_counts(const AttentionInputs& in, int64_t batch) {
  return in.key_count.as<float>() + (in.key_count.shape[0] == 1 ? 0 : batch * in.key_count.stride[0]);
}

// Keys after this many are hidden from every query of the item.
inline int64_t visible_keys(const AttentionInputs& in, int64_t batch) {
  int64_t keys = in.k.shape[1];
  if (!in.key_count) return keys;
  const float* count = key_counts(in, batch);
  while (keys > 0 && count[keys - 1] == 0) --keys;
  return keys;
}

// Queries of one piece of forward work: fewer than a tile when there would be too little to do for all threads. The
// choice changes no result.
inline int64_t query_block(const AttentionInputs& in) {
  const int64_t rows = in.q.shape[0] * in.q.shape[2] * in.q.shape[1];  // of all items and heads
  const int64_t fair = rows / omp_get_max_threads();
  return std::clamp(round_up(fair, 16), int64_t{16}, forward_queries);
}

// Hands out consecutive pieces of scratch memory, each starting on a cache line; `size` is how much was taken.
struct ScratchTaker {
  float* base;
  int64_t size = 0;

  float* take(int64_t count) {
    float* piece = base ? base + size : nullptr;
    size += pad(count);
    return piece;
  }
};

struct ForwardScratch : ScratchTaker {
  float *q, *k, *v, *scores, *out, *key_bias, *maximum, *sum;

  // q [queries, D], k [D, keys], v [keys, D], scores [queries, keys], out [queries, D], key_bias [keys], maximum and
  // sum [queries].
  ForwardScratch(int64_t D, float* base) : ScratchTaker{base} {
    q = take(forward_queries * row_step(D));
    k = take(pad(D) * key_step);
    v = take(key_tile * row_step(D));
    scores = take(forward_queries * key_step);
    out = take(forward_queries * row_step(D));
    key_bias = take(key_tile);
    maximum = take(forward_queries);
    sum = take(forward_queries);
  }
};

// The backward pass gives each task whole (item, head) pairs, so that its sums over queries stay with one thread; if
// the bias wants a gradient, all items of a head, or of all heads, that share the bias. If that makes too few tasks,
// the keys are divided too: each part then sums its own grad_q, and the parts are added up in order.
struct BackwardPlan {
  int64_t batches_per_task = 1, heads_per_task = 1;
  int64_t groups;         // tasks for each part of the keys
  int64_t parts;          // of the keys
  int64_t keys_per_part;  // a multiple of key_tile

  explicit BackwardPlan(const AttentionBackwardArgs& args) {
    const int64_t B = args.in.q.shape[0], H = args.in.q.shape[2], Tk = args.in.k.shape[1];
    if (args.grad_bias) {
      batches_per_task = B;
      if (args.grad_bias.shape[0] == 1) heads_per_task = H;
    }
    groups = B * H == 0 ? 0 : B / batches_per_task * (H / heads_per_task);
    const int64_t tiles = std::max<int64_t>(1, round_up(Tk, key_tile) / key_tile);
    parts = std::clamp<int64_t>(omp_get_max_threads() / std::max<int64_t>(groups, 1), 1, tiles);
    keys_per_part = round_up(tiles, parts) / parts * key_tile;
    parts = std::max<int64_t>(1, round_up(Tk, keys_per_part) / keys_per_part);
  }
};

struct BackwardScratch : ScratchTaker {
  float *q, *grad_out, *k, *k_transposed, *v_transposed, *scores, *grad_scores, *grad_q, *grad_k, *grad_v, *key_bias,
      *zeros, *lse, *delta;

  // Tiles named and shaped as in ForwardScratch; k [keys, D], k_transposed and v_transposed [D, keys], grad_scores as
  // scores, lse and delta [queries]; and grad_q [Tq, D] of all queries of one item and head, unless it has a place
  // outside.
  BackwardScratch(int64_t D, int64_t queries_of_grad_q, float* base) : ScratchTaker{base} {
    q = take(backward_queries * row_step(D));
    grad_out = take(backward_queries * row_step(D));
    k = take(key_tile * row_step(D));
    k_transposed = take(pad(D) * key_step);
    v_transposed = take(pad(D) * key_step);
    scores = take(backward_queries * key_step);
    grad_scores = take(backward_queries * key_step);
    grad_k = take(key_tile * row_step(D));
    grad_v = take(key_tile * row_step(D));
    key_bias = take(key_tile);
    zeros = take(key_tile);
    lse = take(backward_queries);
    delta = take(backward_queries);
    grad_q = take(queries_of_grad_q * row_step(D));
  }
};

}  // namespace baton::kernels::cpu
