#include "kernels/cpu/parallel.h"
#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/column_sum.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums columns first … last - 1. Rows are added in blocks, and the blocks' sums to the total: the rounding error then
// grows with the block's length and the number of blocks instead of with M.
template <typename T>
void sum_columns(const T* x, int64_t rows, int64_t row_step, int64_t first, int64_t last, float* sums) {
  constexpr int64_t block = 128;
  const hn::ScalableTag<float> f32;
  const hn::Rebind<hwy::bfloat16_t, decltype(f32)> bf16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f32));
  const auto load = [&](const T* from) {
    if constexpr (sizeof(T) == 2)
      return hn::PromoteTo(f32, hn::LoadU(bf16, reinterpret_cast<const hwy::bfloat16_t*>(from)));
    else
      return hn::LoadU(f32, from);
  };
  const auto scalar = [](T value) {
    if constexpr (sizeof(T) == 2)
      return hwy::F32FromBF16({value});
    else
      return value;
  };
  int64_t j = first;
  for (; j + 4 * lanes <= last; j += 4 * lanes) {
    auto total0 = hn::Zero(f32), total1 = total0, total2 = total0, total3 = total0;
    for (int64_t start = 0; start < rows; start += block) {
      auto sum0 = hn::Zero(f32), sum1 = sum0, sum2 = sum0, sum3 = sum0;
      for (int64_t i = start; i < std::min(start + block, rows); ++i) {
        const T* row = x + i * row_step + j;
        sum0 = hn::Add(sum0, load(row));
        sum1 = hn::Add(sum1, load(row + lanes));
        sum2 = hn::Add(sum2, load(row + 2 * lanes));
        sum3 = hn::Add(sum3, load(row + 3 * lanes));
      }
      total0 = hn::Add(total0, sum0);
      total1 = hn::Add(total1, sum1);
      total2 = hn::Add(total2, sum2);
      total3 = hn::Add(total3, sum3);
    }
    hn::StoreU(total0, f32, sums + j);
    hn::StoreU(total1, f32, sums + j + lanes);
    hn::StoreU(total2, f32, sums + j + 2 * lanes);
    hn::StoreU(total3, f32, sums + j + 3 * lanes);
  }
  for (; j < last; ++j) {
    float total = 0;
    for (int64_t start = 0; start < rows; start += block) {
      float sum = 0;
      for (int64_t i = start; i < std::min(start + block, rows); ++i) sum += scalar(x[i * row_step + j]);
      total += sum;
    }
    sums[j] = total;
  }
}

// One range of columns a thread, in whole cache lines.
void column_sum(const ColumnSumArgs& args) {
  constexpr int64_t line = 64;
  const int64_t rows = args.x.shape[0], columns = args.x.shape[1], row_step = args.x.stride[0];
  parallel_for((columns + line - 1) / line, rows * line, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * line, last = std::min(end * line, columns);
    if (args.x.dtype == DType::bf16)
      sum_columns(args.x.as<uint16_t>(), rows, row_step, first, last, args.sums.as<float>());
    else
      sum_columns(args.x.as<float>(), rows, row_step, first, last, args.sums.as<float>());
  });
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(column_sum);
void column_sum(const ColumnSumArgs& args) { HWY_DYNAMIC_DISPATCH(column_sum)(args); }
}  // namespace baton::kernels::cpu
#endif
