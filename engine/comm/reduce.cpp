#include "engine/comm/reduce.h"

#include <algorithm>

#include "engine/core/error.h"

namespace baton {
namespace {

template <typename T>
void reduce_as(std::span<const ConstValues> sources, Values target, Reduction reduction) {
  auto* to = static_cast<T*>(target.data);
  for (int64_t i = 0; i < target.count; ++i) {
    T result = static_cast<const T*>(sources[0].data)[i];
    for (const ConstValues& source : sources.subspan(1)) {
      const T value = static_cast<const T*>(source.data)[i];
      result = reduction == Reduction::sum ? result + value : std::max(result, value);
    }
    to[i] = result;
  }
}

void reduce_bf16(std::span<const ConstValues> sources, Values target, Reduction reduction) {
  auto* to = static_cast<uint16_t*>(target.data);
  for (int64_t i = 0; i < target.count; ++i) {
    float result = bf16_to_f32(static_cast<const uint16_t*>(sources[0].data)[i]);
    for (const ConstValues& source : sources.subspan(1)) {
      const float value = bf16_to_f32(static_cast<const uint16_t*>(source.data)[i]);
      result = reduction == Reduction::sum ? result + value : std::max(result, value);
    }
    to[i] = f32_to_bf16(result);
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
      return reduce_bf16(sources, target, reduction);
    default:
      fail("reduction: {} values cannot be added", name(target.dtype));
  }
}

}  // namespace baton
