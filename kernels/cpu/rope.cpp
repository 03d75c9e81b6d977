#include "kernels/rope.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rope.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/thread_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

// y[k] = x[k] same[k] + x[k ^ 1] other[k]
template <typename X, typename Y>
HWY_INLINE void rotate_row(const X* x, Y* y, int64_t d, const float* same, const float* other) {
#if HWY_TARGET == HWY_SCALAR  // a vector is no pair here
  for (int64_t k = 0; k < d; ++k) {
    const Vector product = hn::Mul(load(x + (k ^ 1)), load(other + k));
    store(hn::MulAdd(load(x + k), load(same + k), product), y + k);
  }
#else
  for_each_vector(d, [&](int64_t k, auto part) {
    const Vector v = load(x + k, part);
    const Vector product = hn::Mul(hn::Shuffle2301(v), load(other + k, part));
    store(hn::MulAdd(v, load(same + k, part), product), y + k, part);
  });
#endif
}

template <typename X, typename Y>
void rope_as(const RopeArgs& args) {
  const View& x = args.x;
  const int64_t batch = x.shape[0], times = x.shape[1], heads = x.shape[2], d = x.shape[3];
  const float sign = args.inverse ? -1 : 1;
  const ThreadScratch scratch(2 * d);
  parallel_for(times, batch * heads * d, [&](int64_t begin, int64_t end, int thread) {
    float *same = scratch.of(thread), *other = same + d;
    for (int64_t t = begin; t < end; ++t) {
      const float *cos = args.cos.as<const float>() + t * (d / 2), *sin = args.sin.as<const float>() + t * (d / 2);
      for (int64_t i = 0; i < d / 2; ++i) {
        same[2 * i] = same[2 * i + 1] = cos[i];
        other[2 * i] = -sign * sin[i];
        other[2 * i + 1] = sign * sin[i];
      }
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t h = 0; h < heads; ++h)
          rotate_row(x.as<const X>() + b * x.stride[0] + t * x.stride[1] + h * x.stride[2],
                     args.y.as<Y>() + ((b * times + t) * heads + h) * d, d, same, other);
    }
  });
}

void rope_here(const RopeArgs& args) {
  with_type(args.x.dtype,
            [&](auto x) { with_type(args.y.dtype, [&](auto y) { rope_as<decltype(x), decltype(y)>(args); }); });
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(rope_here);
void rope(const RopeArgs& args) { HWY_DYNAMIC_DISPATCH(rope_here)(args); }
}  // namespace baton::kernels::cpu
#endif
