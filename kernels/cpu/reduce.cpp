#include "kernels/reduce.h"

#include <atomic>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduce.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/partial_sums.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

// Short sums in f32 vectors, added up in double.
template <typename X, typename T>
double squared_distance(const X* x, const T* target, int64_t n) {
  constexpr int64_t block = 4096;
  double total = 0;
  for (int64_t start = 0; start < n; start += block) {
    Vector sum = hn::Zero(lanes);
    for_each_vector(std::min(block, n - start), [&](int64_t i, auto part) {
      const Vector difference = hn::Sub(load(x + start + i, part), load(target + start + i, part));
      sum = hn::MulAdd(difference, difference, sum);
    });
    total += sum_lanes(sum);
  }
  return total;
}

void squared_error_here(const SquaredErrorArgs& args) {
  const int64_t batch = args.x.shape[0], n = args.x.shape[1];
  const Chunks chunks(n, 1);
  std::vector<double> partial(batch * chunks.count);
  with_type(args.x.dtype, [&](auto type) {
    with_type(args.target.dtype, [&](auto target_type) {
      const auto* x = args.x.as<const decltype(type)>();
      const auto* target = args.target.as<const decltype(target_type)>();
      parallel_for(batch * chunks.count, std::min(chunks.size, n), [&](int64_t begin, int64_t end, int) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t first = task % chunks.count * chunks.size, start = task / chunks.count * n + first;
          partial[task] = squared_distance(x + start, target + start, std::min(chunks.size, n - first));
        }
      });
    });
  });
  for (int64_t b = 0; b < batch; ++b) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks.count; ++chunk) sum += partial[b * chunks.count + chunk];
    args.out.as<float>()[b] = static_cast<float>(sum / static_cast<double>(n));
  }
}

void squared_error_backward_here(const SquaredErrorBackwardArgs& args) {
  constexpr int64_t block = 4096;
  const int64_t batch = args.x.shape[0], n = args.x.shape[1], blocks = (n + block - 1) / block;
  with_type(args.x.dtype, [&](auto type) {
    with_type(args.target.dtype, [&](auto target_type) {
      const auto* x = args.x.as<const decltype(type)>();
      const auto* target = args.target.as<const decltype(target_type)>();
      auto* dx = args.dx.as<decltype(type)>();
      parallel_for(batch * blocks, std::min(block, n), [&](int64_t begin, int64_t end, int) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t b = task / blocks, first = task % blocks * block, start = b * n + first;
          const Vector factor = constant(2 / static_cast<float>(n) * args.dout.as<const float>()[b]);
          for_each_vector(std::min(block, n - first), [&](int64_t i, auto part) {
            const Vector difference = hn::Sub(load(x + start + i, part), load(target + start + i, part));
            store(hn::Mul(factor, difference), dx + start + i, part);
          });
        }
      });
    });
  });
}

// v - v is 0 for a finite v and NaN for any other.
bool all_finite_here(const View& view) {
  std::atomic<bool> finite = true;
  with_type(view.dtype, [&](auto type) {
    const auto* x = view.as<const decltype(type)>();
    parallel_for(view.numel(), 1, [&](int64_t begin, int64_t end, int) {
      Vector sum = hn::Zero(lanes);
      for_each_vector(end - begin, [&](int64_t i, auto part) {
        const Vector v = load(x + begin + i, part);
        sum = hn::Add(sum, hn::Sub(v, v));
      });
      if (sum_lanes(sum) != 0) finite = false;
    });
  });
  return finite;
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(squared_error_here);
HWY_EXPORT(squared_error_backward_here);
HWY_EXPORT(all_finite_here);
void squared_error(const SquaredErrorArgs& args) { HWY_DYNAMIC_DISPATCH(squared_error_here)(args); }
void squared_error_backward(const SquaredErrorBackwardArgs& args) {
  HWY_DYNAMIC_DISPATCH(squared_error_backward_here)(args);
}
bool all_finite(const View& x) { return HWY_DYNAMIC_DISPATCH(all_finite_here)(x); }
}  // namespace baton::kernels::cpu
#endif
