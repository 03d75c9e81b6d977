#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include "kernels/cpu/targets.h"

#include "hwy/foreach_target.h"

#include "kernels/cpu/attention_tile.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {

// One item and head: all queries, and the keys of one part.
struct BackwardHead {
  const AttentionBackwardArgs& args;
  int64_t batch, head;
  BackwardScratch scratch;

  int64_t Tq() const { return args.in.q.shape[1]; }
  int64_t Tk() const { return args.in.k.shape[1]; }
  int64_t D() const { return args.in.q.shape[3]; }
  int64_t ld() const { return row_step(D()); }

  void run(int64_t first_key, int64_t last_key) const {
    const int64_t visible = visible_keys(args.in, batch);
    std::fill(scratch.zeros, scratch.zeros + key_tile, 0.0f);
    std::fill(scratch.grad_q, scratch.grad_q + Tq() * ld(), 0.0f);
    for (int64_t key = first_key; key < last_key; key += key_tile) {
      const int64_t keys = std::min(key_tile, last_key - key);
      std::fill(scratch.grad_k, scratch.grad_k + keys * ld(), 0.0f);
      std::fill(scratch.grad_v, scratch.grad_v + keys * ld(), 0.0f);
      if (key < visible) {
        load_keys(key, keys);
        for (int64_t query = args.in.causal ? key : 0; query < Tq(); query += backward_queries)
          add_queries(query, std::min(backward_queries, Tq() - query), key, keys);
      }
      // q was scaled by scale * log2(e) for the scores; its part in grad_k is scale alone.
      if (args.grad_k) store_rows(scratch.grad_k, ld(), keys, D(), log_2, rows_of(args.grad_k, batch, head, key));
      if (args.grad_v) store_rows(scratch.grad_v, ld(), keys, D(), 1.0f, rows_of(args.grad_v, batch, head, key));
    }
  }

  void load_keys(int64_t key, int64_t keys) const {
    load_rows(rows_of(args.in.v, batch, head, key), keys, D(), 1.0f, scratch.k, ld());
    transpose(scratch.k, ld(), keys, D(), scratch.v_transposed, key_step);
    load_rows(rows_of(args.in.k, batch, head, key), keys, D(), 1.0f, scratch.k, ld());
    transpose(scratch.k, ld(), keys, D(), scratch.k_transposed, key_step);
    load_key_bias(args.in, batch, key, keys, scratch.key_bias);
  }

  void add_queries(int64_t query, int64_t rows, int64_t key, int64_t keys) const {
    load_queries(query, rows);
    const Tile p{scratch.scores, key_step}, ds{scratch.grad_scores, key_step};
    multiply({scratch.q, ld(), 1}, {scratch.k_transposed, key_step}, {scratch.key_bias, 0}, p, rows, keys, D());
    add_bias(args.in, head, query, rows, key, keys, p);
    multiply({scratch.grad_out, ld(), 1}, {scratch.v_transposed, key_step}, {scratch.zeros, 0}, ds, rows, keys, D());
    for (int64_t i = 0; i < rows; ++i) softmax_row(i, query, key, keys);

    const Tile grad_q{scratch.grad_q + query * ld(), ld()}, grad_k{scratch.grad_k, ld()}, grad_v{scratch.grad_v, ld()};
    if (args.grad_v) multiply({p.data, 1, p.ld}, {scratch.grad_out, ld()}, grad_v, grad_v, keys, D(), rows);
    if (args.grad_k) multiply({ds.data, 1, ds.ld}, {scratch.q, ld()}, grad_k, grad_k, keys, D(), rows);
    if (args.grad_q) multiply({ds.data, ds.ld, 1}, {scratch.k, ld()}, grad_q, grad_q, rows, D(), keys);
  }

  // Loads q, grad_out and lse, and delta = rowsum(grad_out out).
  void load_queries(int64_t query, int64_t rows) const {
    load_rows(rows_of(args.in.q, batch, head, query), rows, D(), args.in.scale * log2_e, scratch.q, ld());
    load_rows(rows_of(args.grad_out, batch, head, query), rows, D(), 1.0f, scratch.grad_out, ld());
    const float* lse = args.lse.as<float>() + (batch * args.in.q.shape[2] + head) * Tq() + query;
    const Rows out = rows_of(args.out, batch, head, query);
    with_type(out.dtype, [&](auto type) {
      for (int64_t i = 0; i < rows; ++i) {
        Vector sum = hn::Zero(lanes);
        for_each_vector(D(), [&](int64_t d, auto part) {
          sum = hn::MulAdd(load(out.at<decltype(type)>(i) + d, part), load(scratch.grad_out + i * ld() + d), sum);
        });
        scratch.delta[i] = sum_lanes(sum);
        scratch.lse[i] = lse[i] * log2_e;
      }
    });
  }

  // Turns a row of scores into probabilities, and the row of their gradients into the scores' gradients.
  void softmax_row(int64_t i, int64_t query, int64_t key, int64_t keys) const {
    float* p_row = scratch.scores + i * key_step;
    float* ds_row = scratch.grad_scores + i * key_step;
    const Vector lse = hn::Set(lanes, scratch.lse[i]), delta = hn::Set(lanes, scratch.delta[i]);
    for (int64_t j = 0; j < keys; j += width) {
      const Vector p = exp2(hn::Sub(load(p_row + j), lse));
      store(p, p_row + j);
      store(hn::Mul(p, hn::Sub(load(ds_row + j), delta)), ds_row + j);
    }
    if (!args.grad_bias) return;
    float* bias = bias_row(args.grad_bias, head, query + i) + key;
    for_each_vector(
        keys, [&](int64_t j, auto part) { store(hn::Add(load(bias + j, part), load(ds_row + j)), bias + j, part); });
  }
};

// Task i of plan.groups * plan.parts. `partial` [parts, B, H, Tq, row_step(D)] gathers grad_q if there are several
// parts.
void backward_task(const AttentionBackwardArgs& args, const BackwardPlan& plan, int64_t i, float* partial,
                   float* scratch) {
  const int64_t B = args.in.q.shape[0], Tq = args.in.q.shape[1], H = args.in.q.shape[2], D = args.in.q.shape[3],
                Tk = args.in.k.shape[1];
  const int64_t group = i / plan.parts, part = i % plan.parts;
  const int64_t groups_of_heads = H / plan.heads_per_task;
  const int64_t first_batch = group / groups_of_heads * plan.batches_per_task,
                first_head = group % groups_of_heads * plan.heads_per_task;
  const int64_t first_key = part * plan.keys_per_part, last_key = std::min(Tk, first_key + plan.keys_per_part);
  for (int64_t batch = first_batch; batch < first_batch + plan.batches_per_task; ++batch) {
    for (int64_t head = first_head; head < first_head + plan.heads_per_task; ++head) {
      BackwardScratch memory(D, plan.parts == 1 ? Tq : 0, scratch);
      if (plan.parts > 1) memory.grad_q = partial + ((part * B + batch) * H + head) * Tq * row_step(D);
      BackwardHead{args, batch, head, memory}.run(first_key, last_key);
      if (args.grad_q && plan.parts == 1)
        store_rows(memory.grad_q, row_step(D), Tq, D, args.in.scale, rows_of(args.grad_q, batch, head, 0));
    }
  }
}

// grad_q of item and head i = (batch, head): the sum over the parts, in order.
void add_parts(const AttentionBackwardArgs& args, int64_t parts, int64_t i, float* partial) {
  const int64_t B = args.in.q.shape[0], Tq = args.in.q.shape[1], H = args.in.q.shape[2], D = args.in.q.shape[3];
  const int64_t size = Tq * row_step(D);
  float* sum = partial + i * size;
  for (int64_t part = 1; part < parts; ++part) {
    const float* term = sum + part * B * H * size;
    for (int64_t j = 0; j < size; j += width) store(hn::Add(load(sum + j), load(term + j)), sum + j);
  }
  store_rows(sum, row_step(D), Tq, D, args.in.scale, rows_of(args.grad_q, i / H, i % H, 0));
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {

HWY_EXPORT(backward_task);
HWY_EXPORT(add_parts);

namespace {

int64_t scratch_per_thread(const AttentionBackwardArgs& args, const BackwardPlan& plan) {
  return BackwardScratch(args.in.q.shape[3], plan.parts == 1 ? args.in.q.shape[1] : 0, nullptr).size;
}

}  // namespace

int64_t attention_backward_scratch(const AttentionBackwardArgs& args) {
  const View& q = args.in.q;
  const BackwardPlan plan(args);
  const int64_t partial =
      plan.parts == 1 ? 0 : plan.parts * q.shape[0] * q.shape[2] * q.shape[1] * row_step(q.shape[3]);
  return scratch_per_thread(args, plan) * omp_get_max_threads() + partial;
}

void attention_backward(const AttentionBackwardArgs& args) {
  const View& q = args.in.q;
  const BackwardPlan plan(args);
  const int64_t share = scratch_per_thread(args, plan);
  float* const partial = args.scratch + share * omp_get_max_threads();
  const int64_t cost = plan.batches_per_task * plan.heads_per_task * q.shape[1] * plan.keys_per_part * q.shape[3];
  parallel_for(plan.groups * plan.parts, cost, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i)
      HWY_DYNAMIC_DISPATCH(backward_task)(args, plan, i, partial, args.scratch + thread * share);
  });
  if (!args.grad_q || plan.parts == 1) return;
  parallel_for(q.shape[0] * q.shape[2], plan.parts * q.shape[1] * q.shape[3], [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) HWY_DYNAMIC_DISPATCH(add_parts)(args, plan.parts, i, partial);
  });
}

}  // namespace baton::kernels::cpu
#endif
