#include "kernels/optimizer.h"

#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

// body(i, part) over [0, count), shared out among the threads.
template <typename Body>
void for_all(int64_t count, const Body& body) {
  parallel_for(count, 2, [&](int64_t begin, int64_t end, int) {
    for_each_vector(end - begin, [&](int64_t i, auto part) { body(begin + i, part); });
  });
}

HWY_INLINE Vector rounded(double value) { return constant(static_cast<float>(value)); }

// to += weight (from - to)
HWY_INLINE Vector towards(Vector to, Vector from, Vector weight) { return hn::MulAdd(weight, hn::Sub(from, to), to); }

template <typename Part>
HWY_INLINE void follow(float* average, Vector weight, Vector parameter, int64_t i, Part part) {
  if (average) store(towards(load(average + i, part), parameter, weight), average + i, part);
}

void lerp_here(const LerpArgs& args) {
  float* target = args.target.as<float>();
  const float* source = args.source.as<const float>();
  const Vector weight = constant(args.weight);
  for_all(args.target.numel(), [&](int64_t i, auto part) { follow(target, weight, load(source + i, part), i, part); });
}

void adamw_here(const AdamWArgs& args) {
  float *parameter = args.parameter.as<float>(), *first = args.first_moment.as<float>();
  float *second = args.second_moment.as<float>(), *average = args.average.as<float>();
  const float* gradient = args.gradient.as<const float>();
  const double n = static_cast<double>(args.step);
  const double correction1 = 1 - std::pow(args.beta1, n), correction2 = 1 - std::pow(args.beta2, n);
  const Vector scale = rounded(args.gradient_scale), weight1 = rounded(1 - args.beta1),
               weight2 = rounded(1 - args.beta2);
  const Vector keep = rounded(1 - args.lr * args.weight_decay), step_size = rounded(args.lr / correction1);
  const Vector root_scale = rounded(1 / std::sqrt(correction2)), eps = rounded(args.eps);
  const Vector average_weight = constant(args.average_weight);
  for_all(args.parameter.numel(), [&](int64_t i, auto part) {
    const Vector g = hn::Mul(load(gradient + i, part), scale);
    const Vector m = towards(load(first + i, part), g, weight1),
                 v = towards(load(second + i, part), hn::Mul(g, g), weight2);
    const Vector divisor = hn::MulAdd(hn::Sqrt(v), root_scale, eps);
    const Vector p = hn::NegMulAdd(step_size, hn::Div(m, divisor), hn::Mul(load(parameter + i, part), keep));
    store(m, first + i, part);
    store(v, second + i, part);
    store(p, parameter + i, part);
    follow(average, average_weight, p, i, part);
  });
}

void momentum_here(const MomentumArgs& args) {
  const float* gradient = args.gradient.as<const float>();
  float* buffer = args.buffer.as<float>();
  const Vector scale = rounded(args.gradient_scale), weight = rounded(1 - args.momentum);
  with_type(args.update.dtype, [&](auto type) {
    auto* update = args.update.as<decltype(type)>();
    for_all(args.buffer.numel(), [&](int64_t i, auto part) {
      const Vector g = hn::Mul(load(gradient + i, part), scale), m = towards(load(buffer + i, part), g, weight);
      store(m, buffer + i, part);
      store(args.nesterov ? towards(m, g, weight) : m, update + i, part);
    });
  });
}

void apply_update_here(const ApplyUpdateArgs& args) {
  float *parameter = args.parameter.as<float>(), *average = args.average.as<float>();
  const Vector keep = rounded(1 - args.decay), step_size = rounded(args.step_size),
               average_weight = constant(args.average_weight);
  with_type(args.update.dtype, [&](auto type) {
    const auto* update = args.update.as<const decltype(type)>();
    for_all(args.parameter.numel(), [&](int64_t i, auto part) {
      const Vector kept = hn::Mul(load(parameter + i, part), keep),
                   p = hn::NegMulAdd(step_size, load(update + i, part), kept);
      store(p, parameter + i, part);
      follow(average, average_weight, p, i, part);
    });
  });
}

// Short sums in f32 vectors, added up in double.
double sum_of_squares_here(const View& view) {
  constexpr int64_t block = 4096;
  const int64_t count = view.numel(), blocks = (count + block - 1) / block;
  std::vector<double> sums(blocks);
  with_type(view.dtype, [&](auto type) {
    const auto* x = view.as<const decltype(type)>();
    parallel_for(blocks, block, [&](int64_t begin, int64_t end, int) {
      for (int64_t b = begin; b < end; ++b) {
        Vector even = hn::Zero(lanes), odd = hn::Zero(lanes);
        for_each_vector(std::min(block, count - b * block), [&](int64_t i, auto part) {
          const Vector v = load(x + b * block + i, part);
          even = hn::MulAdd(v, v, even);
          std::swap(even, odd);
        });
        sums[b] = sum_lanes(hn::Add(even, odd));
      }
    });
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(lerp_here);
HWY_EXPORT(adamw_here);
HWY_EXPORT(momentum_here);
HWY_EXPORT(apply_update_here);
HWY_EXPORT(sum_of_squares_here);
void lerp(const LerpArgs& args) { HWY_DYNAMIC_DISPATCH(lerp_here)(args); }
void adamw(const AdamWArgs& args) { HWY_DYNAMIC_DISPATCH(adamw_here)(args); }
void momentum(const MomentumArgs& args) { HWY_DYNAMIC_DISPATCH(momentum_here)(args); }
void apply_update(const ApplyUpdateArgs& args) { HWY_DYNAMIC_DISPATCH(apply_update_here)(args); }
double sum_of_squares(const View& x) { return HWY_DYNAMIC_DISPATCH(sum_of_squares_here)(x); }
}  // namespace baton::kernels::cpu
#endif
