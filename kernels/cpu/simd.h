// Vectors of f32 over memory of f32 or bf16, for the kernels that are compiled once per instruction set (see
// foreach_target.h of Highway). A kernel file starts with
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "kernels/cpu/<file>.cpp"
//   #include "kernels/cpu/targets.h"       which sets of instructions
//   #include "hwy/foreach_target.h"
//   #include "kernels/cpu/simd.h"
// and puts its bodies into namespace baton::kernels::cpu::HWY_NAMESPACE.
#if defined(BATON_KERNELS_CPU_SIMD) == defined(HWY_TARGET_TOGGLE)  // once per target
#ifdef BATON_KERNELS_CPU_SIMD
#undef BATON_KERNELS_CPU_SIMD
#else
#define BATON_KERNELS_CPU_SIMD
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/view.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using bf16 = uint16_t;  // storage of a bf16 number
using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;
using Bits = hn::RebindToUnsigned<Lanes>;
using HalfBits = hn::Rebind<uint16_t, Lanes>;
constexpr Lanes lanes;
constexpr int64_t width = static_cast<int64_t>(hn::MaxLanes(Lanes()));  // the x86 targets have vectors of one size each

// How much of a vector is meant: all of it, or (at the end of a row) the first `count` lanes. Other lanes read as zero.
struct Whole {};
struct First {
  int64_t count;
};

HWY_INLINE Vector widen(hn::Vec<HalfBits> half) {
  return hn::BitCast(lanes, hn::ShiftLeft<16>(hn::PromoteTo(Bits(), half)));
}

// Rounds to the nearest bf16, ties to even; a NaN becomes a quiet NaN.
HWY_INLINE hn::Vec<HalfBits> narrow(Vector v) {
  const Bits bits;
  const auto b = hn::BitCast(bits, v);
  const auto odd = hn::And(hn::ShiftRight<16>(b), hn::Set(bits, 1));
  const auto rounded = hn::Add(b, hn::Add(odd, hn::Set(bits, 0x7fff)));
  const auto quiet = hn::Or(b, hn::Set(bits, 0x400000));
  const auto chosen = hn::IfThenElse(hn::RebindMask(bits, hn::IsNaN(v)), quiet, rounded);
  return hn::TruncateTo(HalfBits(), hn::ShiftRight<16>(chosen));
}

HWY_INLINE Vector load(const float* p, Whole = {}) { return hn::LoadU(lanes, p); }
HWY_INLINE Vector load(const bf16* p, Whole = {}) { return widen(hn::LoadU(HalfBits(), p)); }
HWY_INLINE void store(Vector v, float* p, Whole = {}) { hn::StoreU(v, lanes, p); }
HWY_INLINE void store(Vector v, bf16* p, Whole = {}) { hn::StoreU(narrow(v), HalfBits(), p); }

template <typename T>
HWY_INLINE Vector load(const T* p, First part) {
  HWY_ALIGN T buffer[width] = {};
  std::memcpy(buffer, p, part.count * sizeof(T));
  return load(buffer);
}
template <typename T>
HWY_INLINE void store(Vector v, T* p, First part) {
  HWY_ALIGN T buffer[width];
  store(v, buffer);
  std::memcpy(p, buffer, part.count * sizeof(T));
}

// body(i, part) for i = 0, width, 2 width, … below n: `part` goes to load() and store() of elements i, i + 1, …
template <typename Body>
HWY_INLINE void for_each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + width <= n; i += width) body(i, Whole());
  if (i < n) body(i, First{n - i});
}

HWY_INLINE float sum_lanes(Vector v) { return hn::GetLane(hn::SumOfLanes(lanes, v)); }

// f(T()) where T is the storage type of `dtype`, which is f32 or bf16.
template <typename F>
HWY_INLINE void with_type(DType dtype, const F& f) {
  if (dtype == DType::bf16)
    f(bf16());
  else
    f(float());
}

// Elements source[offset + i * stride], i < n, as f32: a pointer into the source itself where that is possible, else to
// `scratch`.
HWY_INLINE const float* fetch(const View& source, int64_t offset, int64_t stride, int64_t n, float* scratch) {
  if (source.dtype == DType::f32 && stride == 1) return source.as<const float>() + offset;
  with_type(source.dtype, [&](auto type) {
    const auto* p = source.as<const decltype(type)>() + offset;
    if (stride == 1)
      for_each_vector(n, [&](int64_t i, auto part) { store(load(p + i, part), scratch + i, part); });
    else
      for (int64_t i = 0; i < n; ++i) store(load(p + i * stride, First{1}), scratch + i, First{1});
  });
  return scratch;
}

// target[offset + i] (+)= values[i], i < n.
HWY_INLINE void put(const float* values, const View& target, int64_t offset, int64_t n, bool accumulate) {
  with_type(target.dtype, [&](auto type) {
    auto* p = target.as<decltype(type)>() + offset;
    for_each_vector(n, [&](int64_t i, auto part) {
      const Vector v = load(values + i, part);
      store(accumulate ? hn::Add(load(p + i, part), v) : v, p + i, part);
    });
  });
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
