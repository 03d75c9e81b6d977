#include "kernels/accumulate.h"

#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/accumulate.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/partial_sums.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/strided.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t block = 1024;  // elements of a row that are worked on at once, in the first-level cache

// The source's loops in two nests: those that the target has too (operands: source, target) and those that are summed
// over. The innermost loop of the source goes into one of them.
struct Plan {
  Loops<2> kept;
  Loops<1> summed;
  bool sums_rows;  // the innermost loop is summed over
};

Plan plan(const SumToArgs& args) {
  const int rank = args.source.rank;
  const auto target_stride = broadcast_strides(args.target, rank);
  Plan p{};
  for (int i = 0; i < rank; ++i) {
    const int64_t size = args.source.shape[i], stride = args.source.stride[i];
    const int leading = i - (rank - args.target.rank);
    const bool summed = leading < 0 || args.target.shape[leading] != size;
    if (size == 1) continue;
    p.sums_rows = summed;
    if (summed)
      p.summed.add(size, {stride});
    else
      p.kept.add(size, {stride, target_stride[i]});
  }
  p.kept.finish();
  p.summed.finish();
  return p;
}

HWY_INLINE void add_row(const float* row, float* sums, int64_t n, float scale) {
  const Vector s = hn::Set(lanes, scale);
  for_each_vector(n, [&](int64_t i, auto part) {
    store(hn::MulAdd(load(row + i, part), s, load(sums + i, part)), sums + i, part);
  });
}

HWY_INLINE float sum_row(const float* row, int64_t n) {
  Vector sums[4] = {hn::Zero(lanes), hn::Zero(lanes), hn::Zero(lanes), hn::Zero(lanes)};
  int64_t i = 0;
  for (; i + 4 * width <= n; i += 4 * width)
    for (int k = 0; k < 4; ++k) sums[k] = hn::Add(sums[k], load(row + i + k * width));
  for_each_vector(n - i, [&](int64_t j, auto part) { sums[0] = hn::Add(sums[0], load(row + i + j, part)); });
  return sum_lanes(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])));
}

// Nothing to sum: row by row.
void add_elements(const SumToArgs& args, const Loops<2>& loops) {
  const int64_t n = loops.inner(), blocks = (n + block - 1) / block;
  parallel_for(loops.rows() * blocks, std::min(n, block) + 8, [&](int64_t begin, int64_t end, int) {
    HWY_ALIGN float scratch[block];
    HWY_ALIGN float scaled[block];
    RowCursor<2> row(loops, begin / blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t start = task % blocks * block, count = std::min(block, n - start), stride = loops.inner_stride(0);
      const float* values = fetch(args.source, row.offset(0) + start * stride, stride, count, scratch);
      if (args.scale != 1) {
        std::fill_n(scaled, count, 0.0f);
        add_row(values, scaled, count, args.scale);
        values = scaled;
      }
      put(values, args.target, row.offset(1) + start, count, args.accumulate);
      if (start + block >= n) row.next();
    }
  });
}

// The innermost loop is kept: a task owns one block of columns of one kept row and one chunk of the summed rows.
// partial [chunks, kept rows, n] f32.
void sum_columns(const SumToArgs& args, const Plan& p) {
  const int64_t n = p.kept.inner(), stride = p.kept.inner_stride(0), blocks = (n + block - 1) / block,
                rows = p.kept.rows();
  const int64_t items = p.summed.rows() * p.summed.inner();
  const Chunks chunks(items, std::min(n, block));
  Loops<1> summed = p.summed;  // one more loop of size 1: the cursor then steps through all of them
  summed.shape[summed.rank] = 1;
  summed.stride[summed.rank++] = {0};
  std::vector<float> partial(chunks.count > 1 ? chunks.count * rows * n : 0);
  parallel_for(chunks.count * rows * blocks, std::min(chunks.size, items) * std::min(n, block),
               [&](int64_t begin, int64_t end, int) {
                 HWY_ALIGN float scratch[block];
                 HWY_ALIGN float sums[block];
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t chunk = task / (rows * blocks), row = task / blocks % rows,
                                 start = task % blocks * block;
                   const int64_t count = std::min(block, n - start), first = chunk * chunks.size;
                   const RowCursor<2> kept(p.kept, row);
                   RowCursor<1> item(summed, first);
                   std::fill_n(sums, count, 0.0f);
                   for (int64_t i = first; i < std::min(items, first + chunks.size); ++i, item.next()) {
                     const int64_t offset = kept.offset(0) + item.offset(0) + start * stride;
                     add_row(fetch(args.source, offset, stride, count, scratch), sums, count, args.scale);
                   }
                   if (chunks.count > 1)
                     std::copy_n(sums, count, partial.data() + (chunk * rows + row) * n + start);
                   else
                     put(sums, args.target, kept.offset(1) + start, count, args.accumulate);
                 }
               });
  if (chunks.count == 1) return;
  for (int64_t chunk = 1; chunk < chunks.count; ++chunk)
    add_row(partial.data() + chunk * rows * n, partial.data(), rows * n, 1);
  RowCursor<2> kept(p.kept, 0);
  for (int64_t row = 0; row < rows; ++row, kept.next())
    put(partial.data() + row * n, args.target, kept.offset(1), n, args.accumulate);
}

// The innermost loop is summed over: a task owns one kept element and one chunk of the summed blocks. partial [chunks,
// kept].
void sum_rows(const SumToArgs& args, const Plan& p) {
  const int64_t n = p.summed.inner(), stride = p.summed.inner_stride(0), blocks = (n + block - 1) / block;
  const int64_t items = p.summed.rows() * blocks, kept_inner = p.kept.inner(), outputs = p.kept.rows() * kept_inner;
  const Chunks chunks(items, std::min(n, block));
  std::vector<float> partial(chunks.count * outputs);
  parallel_for(
      chunks.count * outputs, std::min(chunks.size, items) * std::min(n, block), [&](int64_t begin, int64_t end, int) {
        HWY_ALIGN float scratch[block];
        for (int64_t task = begin; task < end; ++task) {
          const int64_t chunk = task / outputs, output = task % outputs, first = chunk * chunks.size;
          const int64_t base =
              RowCursor<2>(p.kept, output / kept_inner).offset(0) + output % kept_inner * p.kept.inner_stride(0);
          RowCursor<1> row(p.summed, first / blocks);
          float sum = 0;
          for (int64_t i = first; i < std::min(items, first + chunks.size); ++i) {
            const int64_t start = i % blocks * block, count = std::min(block, n - start);
            sum += sum_row(fetch(args.source, base + row.offset(0) + start * stride, stride, count, scratch), count);
            if (start + block >= n) row.next();
          }
          partial[task] = sum * args.scale;
        }
      });
  for (int64_t chunk = 1; chunk < chunks.count; ++chunk)
    add_row(partial.data() + chunk * outputs, partial.data(), outputs, 1);
  put(partial.data(), args.target, 0, outputs, args.accumulate);  // kept elements are in the target's order
}

void sum_to_here(const SumToArgs& args) {
  if (args.target.numel() == 0) return;
  if (args.source.numel() == 0) {
    if (!args.accumulate) std::memset(args.target.data, 0, args.target.numel() * size_of(args.target.dtype));
    return;
  }
  const Plan p = plan(args);
  if (args.source.numel() == args.target.numel())
    add_elements(args, p.kept);
  else if (p.sums_rows)
    sum_rows(args, p);
  else
    sum_columns(args, p);
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(sum_to_here);
void sum_to(const SumToArgs& args) { HWY_DYNAMIC_DISPATCH(sum_to_here)(args); }
}  // namespace baton::kernels::cpu
#endif
