#include "engine/comm/reduce.h"

#include <algorithm>
#include <type_traits>

#include "engine/core/require.h"

namespace baton {
namespace {

float read(float value) { return value; }
double read(double value) { return value; }
int32_t read(int32_t value) { return value; }
int64_t read(int64_t value) { return value; }
float read(uint16_t bits) { return bf16_to_f32(bits); }

template <typename T, typename Sum>
T as_stored(Sum value) {
  if constexpr (std::is_same_v<T, uint16_t>)
    return f32_to_bf16(value);
  else
    return value;
}

// Block by block, one source after the other, so that the inner loops are vectors. bf16 is added in f32.
template <typename T>
void reduce_as(std::span<const ConstValues> sources, Values target, Reduction reduction) {
  using Sum = decltype(read(T()));
  constexpr int64_t block = 1024;
  Sum sums[block];
  for (int64_t first = 0; first < target.count; first += block) {
    const int64_t n = std::min(block, target.count - first);
    const auto from = [&](const ConstValues& source) { return static_cast<const T*>(source.data) + first; };
    for (int64_t i = 0; i < n; ++i) sums[i] = read(from(sources[0])[i]);
    for (const ConstValues& source : sources.subspan(1)) {
      const T* values = from(source);
      if (reduction == Reduction::sum)
        for (int64_t i = 0; i < n; ++i) sums[i] += read(values[i]);
      else
        for (int64_t i = 0; i < n; ++i) sums[i] = std::max(sums[i], read(values[i]));
    }
    T* to = static_cast<T*>(target.data) + first;
    for (int64_t i = 0; i < n; ++i) to[i] = as_stored<T>(sums[i]);
  }
}

}  // namespace

void reduce_values(std::span<const ConstValues> sources, Values target, Reduction reduction) {
  switch (target.dtype) {
    case DType::f32:
      return reduce_as<float>(sources, target, reduction);
    case DType::f64:
      return reduce_as<double>(sources, target, reduction);
    case DType::i32:
      return reduce_as<int32_t>(sources, target, reduction);
    case DType::i64:
      return reduce_as<int64_t>(sources, target, reduction);
    case DType::bf16:
      return reduce_as<uint16_t>(sources, target, reduction);
    default:
      require(false, "reduction: {} values cannot be added", name(target.dtype));
  }
}

}  // namespace baton
