#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_forward.cpp"
#include "kernels/cpu/targets.h"

#include "hwy/foreach_target.h"

#include "kernels/cpu/attention_tile.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {

// One block of queries on its way over the keys.
struct ForwardBlock {
  const AttentionForwardArgs& args;
  int64_t batch, head, first, rows;  // its queries
  ForwardScratch scratch;

  void run() const {
    const AttentionInputs& in = args.in;
    const int64_t D = in.q.shape[3], ld = row_step(D);
    load_rows(rows_of(in.q, batch, head, first), rows, D, in.scale * log2_e, scratch.q, ld);
    std::fill(scratch.out, scratch.out + rows * ld, 0.0f);
    std::fill(scratch.maximum, scratch.maximum + rows, -infinity);
    std::fill(scratch.sum, scratch.sum + rows, 0.0f);
    int64_t keys = visible_keys(in, batch);
    if (in.causal) keys = std::min(keys, first + rows);
    for (int64_t key = 0; key < keys; key += key_tile) add_keys(key, std::min(key_tile, keys - key));
    finish();
  }

  // Lets the queries see keys [first_key, first_key + keys).
  void add_keys(int64_t first_key, int64_t keys) const {
    const AttentionInputs& in = args.in;
    const int64_t D = in.q.shape[3], ld = row_step(D);
    load_rows(rows_of(in.k, batch, head, first_key), keys, D, 1.0f, scratch.v, ld);
    transpose(scratch.v, ld, keys, D, scratch.k, key_step);
    load_rows(rows_of(in.v, batch, head, first_key), keys, D, 1.0f, scratch.v, ld);
    load_key_bias(in, batch, first_key, keys, scratch.key_bias);
    const Tile scores{scratch.scores, key_step}, out{scratch.out, ld};
    multiply({scratch.q, ld, 1}, {scratch.k, key_step}, {scratch.key_bias, 0}, scores, rows, keys, D);
    add_bias(in, head, first, rows, first_key, keys, scores);
    for (int64_t i = 0; i < rows; ++i) softmax_row(i, keys);
    multiply({scratch.scores, key_step, 1}, {scratch.v, ld}, out, out, rows, D, keys);
  }

  // Turns a row of scores into 2^(score - maximum so far), and brings what was summed before to that maximum.
  void softmax_row(int64_t i, int64_t keys) const {
    float* row = scratch.scores + i * key_step;
    Vector largest = hn::Set(lanes, -infinity);
    for (int64_t j = 0; j < keys; j += width) largest = hn::Max(largest, load(row + j));
    const float before = scratch.maximum[i];
    const float maximum = std::max(before, hn::GetLane(hn::MaxOfLanes(lanes, largest)));
    scratch.maximum[i] = maximum;
    if (maximum > before && before > -infinity) {
      const float factor = hn::GetLane(exp2(hn::Set(lanes, before - maximum)));
      scratch.sum[i] *= factor;
      float* out = scratch.out + i * row_step(args.in.q.shape[3]);
      for (int64_t d = 0; d < args.in.q.shape[3]; d += width) {
        store(hn::Mul(load(out + d), hn::Set(lanes, factor)), out + d);
      }
    }
    const Vector shift =
        hn::Set(lanes, maximum == -infinity ? 0.0f : maximum);  // nothing seen yet: every term is 2^-inf = 0
    Vector sum = hn::Zero(lanes);
    for (int64_t j = 0; j < keys; j += width) {
      const Vector p = exp2(hn::Sub(load(row + j), shift));
      store(p, row + j);
      sum = hn::Add(sum, p);
    }
    scratch.sum[i] += sum_lanes(sum);
  }

  void finish() const {
    const int64_t D = args.in.q.shape[3], ld = row_step(D);
    for (int64_t i = 0; i < rows; ++i) {
      const float sum = scratch.sum[i];
      const Vector factor = hn::Set(lanes, sum == 0 ? 0.0f : 1 / sum);
      float* out = scratch.out + i * ld;
      for (int64_t d = 0; d < D; d += width) store(hn::Mul(load(out + d), factor), out + d);
      if (args.lse)
        args.lse.as<float>()[(batch * args.lse.shape[1] + head) * args.lse.shape[2] + first + i] =
            sum == 0 ? infinity : log_2 * (scratch.maximum[i] + std::log2(sum));
    }
    store_rows(scratch.out, ld, rows, D, 1.0f, rows_of(args.out, batch, head, first));
  }
};

// Blocks [begin, end) of all, the blocks of one head side by side.
void forward_blocks(const AttentionForwardArgs& args, int64_t begin, int64_t end, float* scratch) {
  const int64_t Tq = args.in.q.shape[1], H = args.in.q.shape[2];
  const int64_t size = query_block(args.in), blocks = (Tq + size - 1) / size;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t first = i % blocks * size, head = i / blocks % H, batch = i / blocks / H;
    ForwardBlock{args, batch, head, first, std::min(size, Tq - first), ForwardScratch(args.in.q.shape[3], scratch)}
        .run();
  }
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {

HWY_EXPORT(forward_blocks);

int64_t attention_forward_scratch(const AttentionForwardArgs& args) {
  return ForwardScratch(args.in.q.shape[3], nullptr).size * omp_get_max_threads();
}

void attention_forward(const AttentionForwardArgs& args) {
  const View& q = args.in.q;
  const int64_t block = query_block(args.in), blocks = (q.shape[1] + block - 1) / block;
  const int64_t share = ForwardScratch(q.shape[3], nullptr).size;
  parallel_for(q.shape[0] * q.shape[2] * blocks, block * args.in.k.shape[1] * q.shape[3],
               [&](int64_t begin, int64_t end, int thread) {
                 HWY_DYNAMIC_DISPATCH(forward_blocks)(args, begin, end, args.scratch + thread * share);
               });
}

}  // namespace baton::kernels::cpu
#endif
