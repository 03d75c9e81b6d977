// The parts that attention's forward and backward passes share: tiles of f32 numbers in scratch memory, and products of
// tiles. Rows of a tile are padded to a multiple of the widest vector. Included once per instruction set, after
// kernels/cpu/simd.h.
#if defined(BATON_KERNELS_CPU_ATTENTION_TILE) == defined(HWY_TARGET_TOGGLE)  // once per target
#ifdef BATON_KERNELS_CPU_ATTENTION_TILE
#undef BATON_KERNELS_CPU_ATTENTION_TILE
#else
#define BATON_KERNELS_CPU_ATTENTION_TILE
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwy/cache_control.h"
#include "kernels/attention.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
// Scores are kept in units of log 2, so that the softmax needs 2^x only.
inline constexpr float log2_e = 1.44269504088896341f;
inline constexpr float log_2 = 0.693147180559945309f;

// 2^x for x <= 0 (slightly above is harmless); exactly 0 below -125; relative error about 1e-7. x = n + r with n whole
// and |r| <= 1/2; 2^r is the minimax polynomial of degree 6 for the relative error.
HWY_INLINE Vector exp2(Vector x) {
  // Adding 1.5 * 2^23 + 127 rounds to a whole number and leaves n + 127, the exponent of 2^n, in the lowest bits.
  const Vector shifter = hn::Set(lanes, 12582912.0f + 127.0f);
  const Vector shifted = hn::Add(x, shifter);
  const Vector r = hn::Sub(x, hn::Sub(shifted, shifter));
  Vector p = hn::Set(lanes, 0.000153458124f);
  p = hn::MulAdd(p, r, hn::Set(lanes, 0.00133999309f));
  p = hn::MulAdd(p, r, hn::Set(lanes, 0.00961848907f));
  p = hn::MulAdd(p, r, hn::Set(lanes, 0.0555032864f));
  p = hn::MulAdd(p, r, hn::Set(lanes, 0.240226462f));
  p = hn::MulAdd(p, r, hn::Set(lanes, 0.693147182f));
  p = hn::MulAdd(p, r, hn::Set(lanes, 1.0f));
  const Vector power = hn::BitCast(lanes, hn::ShiftLeft<23>(hn::BitCast(Bits(), shifted)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(lanes, -125.0f)), hn::Mul(p, power));  // a NaN stays one
}

// Rows of one head lie far apart, where the hardware does not look ahead by itself.
template <typename T>
HWY_INLINE void prefetch(const T* row, int64_t n) {
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t d = 0; d < n; d += line) hwy::Prefetch(row + d);
}

// tile[i][0 … padded) = factor * rows[i][0 … n), then zeros, for `count` rows of a tensor.
inline void load_rows(const Rows& rows, int64_t count, int64_t n, float factor, float* tile, int64_t ld) {
  constexpr int64_t ahead = 8;
  const Vector scale = hn::Set(lanes, factor);
  with_type(rows.dtype, [&](auto type) {
    for (int64_t i = 0; i < count; ++i) {
      const auto* from = rows.at<decltype(type)>(i);
      float* to = tile + i * ld;
      if (i + ahead < count) prefetch(rows.at<decltype(type)>(i + ahead), n);
      for_each_vector(n, [&](int64_t d, auto part) { store(hn::Mul(load(from + d, part), scale), to + d); });
      std::fill(to + n, to + pad(n), 0.0f);
    }
  });
}

inline void store_rows(const float* tile, int64_t ld, int64_t count, int64_t n, float factor, const Rows& rows) {
  const Vector scale = hn::Set(lanes, factor);
  with_type(rows.dtype, [&](auto type) {
    for (int64_t i = 0; i < count; ++i) {
      const float* from = tile + i * ld;
      auto* to = rows.at<decltype(type)>(i);
      for_each_vector(n, [&](int64_t d, auto part) { store(hn::Mul(load(from + d), scale), to + d, part); });
    }
  });
}

// transposed[d][i] = tile[i][d] for i < count and d < n; zero for count <= i < padded. Works on blocks of 4 x 4.
inline void transpose(const float* tile, int64_t ld, int64_t count, int64_t n, float* transposed,
                      int64_t transposed_ld) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> four;
  const hn::FixedTag<double, 2> two;
  const auto low = [&](auto a, auto b) {
    return hn::BitCast(four, hn::InterleaveLower(two, hn::BitCast(two, a), hn::BitCast(two, b)));
  };
  const auto high = [&](auto a, auto b) {
    return hn::BitCast(four, hn::InterleaveUpper(two, hn::BitCast(two, a), hn::BitCast(two, b)));
  };
  for (; i + 4 <= count; i += 4) {
    for (int64_t d = 0; d < n;
         d += 4) {  // rows are padded: reading past n is harmless, and so is writing the rows up to n + 3 …
      const float* from = tile + i * ld + d;
      float* to = transposed + d * transposed_ld + i;
      const auto a = hn::LoadU(four, from), b = hn::LoadU(four, from + ld), c = hn::LoadU(four, from + 2 * ld),
                 e = hn::LoadU(four, from + 3 * ld);
      const auto ab_low = hn::InterleaveLower(four, a, b), ab_high = hn::InterleaveUpper(four, a, b);
      const auto ce_low = hn::InterleaveLower(four, c, e), ce_high = hn::InterleaveUpper(four, c, e);
      hn::StoreU(low(ab_low, ce_low), four, to);
      hn::StoreU(high(ab_low, ce_low), four, to + transposed_ld);
      hn::StoreU(low(ab_high, ce_high), four, to + 2 * transposed_ld);
      hn::StoreU(high(ab_high, ce_high), four, to + 3 * transposed_ld);
    }
  }
#endif
  for (; i < count; ++i)
    for (int64_t d = 0; d < n; ++d) transposed[d * transposed_ld + i] = tile[i * ld + d];
  for (int64_t d = 0; d < n; ++d)
    std::fill(transposed + d * transposed_ld + count, transposed + d * transposed_ld + pad(count), 0.0f);
}

// The left factor of a product; its transpose is read as easily.
struct Left {
  const float* data;
  int64_t row_stride, depth_stride;
};
// A tile with a leading dimension; 0 repeats one row.
struct Tile {
  float* data;
  int64_t ld;
};

// Rows x Columns vectors of c = start + a b, kept in registers.
template <int Rows, int Columns>
HWY_INLINE void multiply_block(const Left& a, const Tile& b, const Tile& start, const Tile& c, int64_t depth) {
  Vector sum[Rows][Columns];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Columns; ++v) sum[r][v] = hn::LoadU(lanes, start.data + r * start.ld + v * width);
  const float* left = a.data;
  const float* right = b.data;
  for (int64_t k = 0; k < depth; ++k, left += a.depth_stride, right += b.ld) {
    Vector column[Columns];
    for (int v = 0; v < Columns; ++v) column[v] = hn::LoadU(lanes, right + v * width);
    for (int r = 0; r < Rows; ++r) {
      const Vector row = hn::Set(lanes, left[r * a.row_stride]);
      for (int v = 0; v < Columns; ++v) sum[r][v] = hn::MulAdd(row, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Columns; ++v) hn::StoreU(sum[r][v], lanes, c.data + r * c.ld + v * width);
}

template <int Columns>
HWY_NOINLINE void multiply_strip(Left a, const Tile& b, Tile start, Tile c, int64_t rows, int64_t depth) {
  const auto advance = [&](int64_t count) {
    a.data += count * a.row_stride;
    start.data += count * start.ld;
    c.data += count * c.ld;
  };
  for (; rows >= 6; rows -= 6, advance(6)) multiply_block<6, Columns>(a, b, start, c, depth);
  switch (rows) {
    case 5:
      return multiply_block<5, Columns>(a, b, start, c, depth);
    case 4:
      return multiply_block<4, Columns>(a, b, start, c, depth);
    case 3:
      return multiply_block<3, Columns>(a, b, start, c, depth);
    case 2:
      return multiply_block<2, Columns>(a, b, start, c, depth);
    case 1:
      return multiply_block<1, Columns>(a, b, start, c, depth);
  }
}

// c [rows, columns] = start + a b with a [rows, depth], b [depth, columns]; start may be c itself. Columns are rounded
// up to whole vectors. Every sum runs over the depth in order, whatever the sizes: a row's result does not depend on
// the rows beside it.
inline void multiply(const Left& a, Tile b, Tile start, Tile c, int64_t rows, int64_t columns, int64_t depth) {
  // 6 rows of 4 vectors, the right row and a broadcast fit 32 registers; 6 of 2 fit 16.
  constexpr int strip = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  const auto advance = [&](int vectors) {
    b.data += vectors * width;
    start.data += vectors * width;
    c.data += vectors * width;
  };
  int64_t vectors = (columns + width - 1) / width;
  for (; vectors >= strip; vectors -= strip, advance(strip)) multiply_strip<strip>(a, b, start, c, rows, depth);
  switch (vectors) {
    case 3:
      return multiply_strip<3>(a, b, start, c, rows, depth);
    case 2:
      return multiply_strip<2>(a, b, start, c, rows, depth);
    case 1:
      return multiply_strip<1>(a, b, start, c, rows, depth);
  }
}

// What a key adds to its scores, in units of log 2: log2 of its multiplicity; -inf for one that is hidden, or past the
// tile's end.
inline void load_key_bias(const AttentionInputs& in, int64_t batch, int64_t first, int64_t count, float* bias) {
  std::fill(bias, bias + count, 0.0f);
  std::fill(bias + count, bias + pad(count), -infinity);
  if (!in.key_count) return;
  const float* key_count = key_counts(in, batch) + first;
  for (int64_t j = 0; j < count; ++j)
    if (key_count[j] != 1) bias[j] = std::log2(key_count[j]);
}

// scores [rows, keys] (queries from first_query, keys from first_key) += bias, and -inf for keys that lie in a query's
// future.
inline void add_bias(const AttentionInputs& in, int64_t head, int64_t first_query, int64_t rows, int64_t first_key,
                     int64_t keys, const Tile& scores) {
  if (in.bias) {
    const Vector scale = hn::Set(lanes, log2_e);
    for (int64_t i = 0; i < rows; ++i) {
      const float* bias = bias_row(in.bias, head, first_query + i) + first_key;
      float* row = scores.data + i * scores.ld;
      for_each_vector(
          keys, [&](int64_t j, auto part) { store(hn::MulAdd(load(bias + j, part), scale, load(row + j)), row + j); });
    }
  }
  if (in.causal) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = first_query + i + 1 - first_key;
      if (visible < keys)
        std::fill(scores.data + i * scores.ld + std::max<int64_t>(visible, 0), scores.data + i * scores.ld + keys,
                  -infinity);
    }
  }
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
