#include "kernels/convert.h"

#include <cstring>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convert.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/strided.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

// One element through a vector unit: rounding is then the same everywhere.
template <typename S, typename T>
HWY_INLINE void copy_one(const S* source, T* target) {
  if constexpr (std::is_same_v<S, T>)
    *target = *source;
  else
    store(load(source, First{1}), target, First{1});
}

template <typename S, typename T>
void copy_row(const S* source, T* target, int64_t n) {
  if constexpr (std::is_same_v<S, T>)
    std::memcpy(target, source, n * sizeof(T));
  else
    for_each_vector(n, [&](int64_t i, auto part) { store(load(source + i, part), target + i, part); });
}

// Both operands have unit stride in the innermost loop: whole rows, long ones in blocks.
template <typename S, typename T>
void copy_rows(const Loops<2>& loops, const S* source, T* target) {
  constexpr int64_t block = 8192;
  const int64_t n = loops.inner(), blocks = (n + block - 1) / block;
  parallel_for(loops.rows() * blocks, std::min(n, block) + 8, [&](int64_t begin, int64_t end, int) {
    RowCursor<2> row(loops, begin / blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t start = task % blocks * block;
      copy_row(source + row.offset(0) + start, target + row.offset(1) + start, std::min(block, n - start));
      if (start + block >= n) row.next();
    }
  });
}

// A transposition: the source has unit stride in the last loop but one (rows), the target in the last one (columns).
// Squares go through a buffer that is read and written in whole cache lines on either side.
template <typename S, typename T>
void copy_tiles(const Loops<2>& loops, const S* source, T* target) {
  constexpr int64_t tile = 16;
  const int last = loops.rank - 1;
  const int64_t rows = loops.shape[last - 1], columns = loops.shape[last], strips = (rows + tile - 1) / tile;
  const int64_t source_step = loops.stride[last][0], target_step = loops.stride[last - 1][1];
  Loops<2> outer = loops;  // its innermost loop stands for the two
  outer.rank = last;
  parallel_for(outer.rows() * strips, tile * columns, [&](int64_t begin, int64_t end, int) {
    S buffer[tile][tile];
    for (int64_t task = begin; task < end; ++task) {
      const RowCursor<2> at(outer, task / strips);
      const int64_t row = task % strips * tile, height = std::min(tile, rows - row);
      for (int64_t column = 0; column < columns; column += tile) {
        const S* from = source + at.offset(0) + row + column * source_step;
        T* to = target + at.offset(1) + row * target_step + column;
        const int64_t span = std::min(tile, columns - column);
        for (int64_t c = 0; c < span; ++c)
          for (int64_t r = 0; r < height; ++r) buffer[r][c] = from[r + c * source_step];
        for (int64_t r = 0; r < height; ++r) copy_row(buffer[r], to + r * target_step, span);
      }
    }
  });
}

// Anything else, element by element in the innermost two loops.
template <typename S, typename T>
void copy_elements(const Loops<2>& loops, const S* source, T* target) {
  const int last = loops.rank - 1;
  const bool single = last == 0;
  const int64_t rows = single ? 1 : loops.shape[last - 1], columns = loops.shape[last];
  const std::array<int64_t, 2> down = single ? std::array<int64_t, 2>{} : loops.stride[last - 1],
                               across = loops.stride[last];
  Loops<2> outer = loops;
  outer.rank = std::max(last, 1);
  if (single) outer.shape[0] = 1;
  parallel_for(outer.rows(), rows * columns, [&](int64_t begin, int64_t end, int) {
    RowCursor<2> at(outer, begin);
    for (int64_t task = begin; task < end; ++task, at.next()) {
      const S* from = source + at.offset(0);
      T* to = target + at.offset(1);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
          copy_one(from + r * down[0] + c * across[0], to + r * down[1] + c * across[1]);
    }
  });
}

template <typename S, typename T>
void copy_as(const Loops<2>& loops, const View& source, const View& target) {
  const S* s = source.as<const S>();
  T* t = target.as<T>();
  const bool rows = loops.inner_stride(1) == 1;
  if (rows && loops.inner_stride(0) == 1 && loops.inner() >= 8)
    copy_rows(loops, s, t);
  else if (rows && loops.rank >= 2 && loops.stride[loops.rank - 2][0] == 1)
    copy_tiles(loops, s, t);
  else
    copy_elements(loops, s, t);
}

// The target's dimensions from the largest stride to the smallest, except that the source's unit stride (if it is not
// the target's) comes next to last, where copy_tiles() wants it.
Loops<2> plan(const CopyArgs& args) {
  int order[max_rank];
  std::iota(order, order + args.target.rank, 0);
  std::stable_sort(order, order + args.target.rank,
                   [&](int a, int b) { return args.target.stride[a] > args.target.stride[b]; });
  Loops<2> loops;
  for (int i = 0; i < args.target.rank; ++i) {
    const int d = order[i];
    loops.add(args.target.shape[d], {args.source.stride[d], args.target.stride[d]});
  }
  loops.finish();
  if (loops.inner_stride(0) == 1) return loops;
  for (int i = 0; i + 2 < loops.rank; ++i) {
    if (loops.stride[i][0] != 1) continue;
    std::rotate(loops.shape + i, loops.shape + i + 1, loops.shape + loops.rank - 1);
    std::rotate(loops.stride + i, loops.stride + i + 1, loops.stride + loops.rank - 1);
    break;
  }
  return loops;
}

void copy_here(const CopyArgs& args) {
  if (args.target.numel() == 0) return;
  const Loops<2> loops = plan(args);
  const View &s = args.source, &t = args.target;
  if (s.dtype != t.dtype) {
    if (s.dtype == DType::bf16)
      copy_as<bf16, float>(loops, s, t);
    else
      copy_as<float, bf16>(loops, s, t);
    return;
  }
  switch (size_of(s.dtype)) {
    case 1:
      return copy_as<uint8_t, uint8_t>(loops, s, t);
    case 2:
      return copy_as<uint16_t, uint16_t>(loops, s, t);
    case 4:
      return copy_as<uint32_t, uint32_t>(loops, s, t);
    default:
      return copy_as<uint64_t, uint64_t>(loops, s, t);
  }
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(copy_here);
void copy(const CopyArgs& args) { HWY_DYNAMIC_DISPATCH(copy_here)(args); }
}  // namespace baton::kernels::cpu
#endif
