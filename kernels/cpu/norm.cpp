#include "kernels/norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/partial_sums.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/thread_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

// The factor and addend of each column for the current item, as f32, in 2 d floats of scratch.
class Columns {
 public:
  Columns(const View& scale, const View& shift, float scale_offset, int64_t d, float* scratch)
      : scale_(scale), shift_(shift), offset_(scale_offset), d_(d), factor_(scratch), addend_(scratch + d) {
    std::fill_n(factor_, d, 1.0f);
    std::fill_n(addend_, d, 0.0f);
  }

  void select(int64_t item) {
    if (item == item_ || (item_ >= 0 && scale_.rank != 2 && shift_.rank != 2)) return;
    item_ = item;
    read(scale_, factor_, offset_);
    read(shift_, addend_, 0);
  }
  const float* factor() const { return factor_; }
  const float* addend() const { return addend_; }

 private:
  void read(const View& v, float* values, float offset) const {
    if (!v) return;
    const float* row = fetch(v, v.rank == 2 ? item_ * v.stride[0] : 0, 1, d_, values);
    for_each_vector(
        d_, [&](int64_t i, auto part) { store(hn::Add(load(row + i, part), constant(offset)), values + i, part); });
  }

  const View &scale_, &shift_;
  float offset_;
  int64_t d_, item_ = -1;
  float *factor_, *addend_;
};

template <typename X, typename F>
HWY_INLINE float sum_over(const X* x, int64_t d, const F& f) {
  Vector even = hn::Zero(lanes), odd = hn::Zero(lanes);
  int64_t i = 0;
  for (; i + 2 * width <= d; i += 2 * width) {
    even = hn::Add(even, f(load(x + i), Whole()));
    odd = hn::Add(odd, f(load(x + i + width), Whole()));
  }
  for_each_vector(d - i, [&](int64_t j, auto part) { even = hn::Add(even, f(load(x + i + j, part), part)); });
  return sum_lanes(hn::Add(even, odd));
}

HWY_INLINE Vector only(Vector v, Whole) { return v; }
HWY_INLINE Vector only(Vector v, First part) { return hn::IfThenElseZero(hn::FirstN(lanes, part.count), v); }

struct Statistics {
  float mean, rstd;
};
template <typename X>
HWY_INLINE Statistics statistics(Norm kind, const X* x, int64_t d, float eps) {
  const float n = static_cast<float>(d);
  const float mean = kind == Norm::layer ? sum_over(x, d, [](Vector v, auto) HWY_ATTR { return v; }) / n : 0;
  const Vector centre = constant(mean);
  const float squares = sum_over(x, d, [&](Vector v, auto part) HWY_ATTR {
    const Vector difference = only(hn::Sub(v, centre), part);
    return hn::Mul(difference, difference);
  });
  return {mean, kind == Norm::l2 ? std::sqrt(n) / std::max(std::sqrt(squares), eps) : 1 / std::sqrt(squares / n + eps)};
}

template <bool silu, typename X, typename Y>
HWY_INLINE void normalise(const X* x, Y* y, int64_t d, Statistics s, const Columns& columns) {
  const Vector mean = constant(s.mean), rstd = constant(s.rstd);
  const float *factor = columns.factor(), *addend = columns.addend();
  for_each_vector(d, [&](int64_t i, auto part) {
    const Vector unit = hn::Mul(hn::Sub(load(x + i, part), mean), rstd);
    const Vector z = hn::MulAdd(unit, load(factor + i, part), load(addend + i, part));
    store(silu ? hn::Mul(z, sigmoid(z)) : z, y + i, part);
  });
}

template <bool silu, typename X, typename Y>
void norm_as(const NormArgs& args) {
  const int64_t times = args.x.shape[1], d = args.x.shape[2];
  const X* x = args.x.as<const X>();
  Y* y = args.y.as<Y>();
  const ThreadScratch scratch(2 * d);
  parallel_for(args.x.shape[0] * times, 3 * d, [&](int64_t begin, int64_t end, int thread) {
    Columns columns(args.scale, args.shift, args.scale_offset, d, scratch.of(thread));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t item = row / times;
      columns.select(item);
      const X* from = x + item * args.x.stride[0] + row % times * args.x.stride[1];
      const Statistics s =
          args.rstd_given ? Statistics{0, args.rstd.as<float>()[row]} : statistics(args.kind, from, d, args.eps);
      if (args.mean) args.mean.as<float>()[row] = s.mean;
      if (args.rstd) args.rstd.as<float>()[row] = s.rstd;
      if (!args.y) continue;
      normalise<silu>(from, y + row * d, d, s, columns);
    }
  });
}

void norm_here(const NormArgs& args) {
  if (args.x.numel() == 0) return;
  with_type(args.x.dtype, [&](auto x) {
    with_type(args.y.dtype, [&](auto y) {
      if (args.silu)
        norm_as<true, decltype(x), decltype(y)>(args);
      else
        norm_as<false, decltype(x), decltype(y)>(args);
    });
  });
}

// With u = (x - mean) rstd and g = dz factor:
//   dx = rstd (g - mean(g) - u mean(g u)), without mean(g) unless the mean was subtracted; dscale += dz u; dshift +=
//   dz.
// `g` is scratch of d values. A null target is skipped. `mean_gu` is written, or read if it is given.
template <bool silu, typename X, typename G>
HWY_INLINE void row_backward(const NormBackwardArgs& args, const G* dy, const X* x, X* dx, int64_t d, Statistics s,
                             const Columns& columns, float* g, float* dscale, float* dshift, float* known_mean_gu) {
  const Vector mean = constant(s.mean), rstd = constant(s.rstd);
  const float *factor = columns.factor(), *addend = columns.addend();
  Vector sum_g = hn::Zero(lanes), sum_gu = hn::Zero(lanes);
  for_each_vector(d, [&](int64_t i, auto part) {
    const Vector u = hn::Mul(hn::Sub(load(x + i, part), mean), rstd), f = load(factor + i, part);
    Vector dz = load(dy + i, part);
    if constexpr (silu) {
      const Vector z = hn::MulAdd(u, f, load(addend + i, part)), gate = sigmoid(z);
      dz = hn::Mul(dz, hn::MulAdd(hn::Mul(z, gate), hn::Sub(constant(1), gate), gate));
    }
    if (dscale) store(hn::MulAdd(dz, u, load(dscale + i, part)), dscale + i, part);
    if (dshift) store(hn::Add(dz, load(dshift + i, part)), dshift + i, part);
    const Vector product = hn::Mul(dz, f);
    store(product, g + i, part);
    sum_g = hn::Add(sum_g, product);
    sum_gu = hn::MulAdd(product, u, sum_gu);
  });
  const float n = static_cast<float>(d);
  if (known_mean_gu && !args.mean_gu_given) *known_mean_gu = sum_lanes(sum_gu) / n;
  if (!dx) return;
  // Below the limit eps the divisor is a constant, and dx = rstd g.
  const bool constant_divisor = args.kind == Norm::l2 && s.rstd >= std::sqrt(n) / args.eps;
  const Vector mean_g = constant(args.kind == Norm::layer ? sum_lanes(sum_g) / n : 0);
  const Vector mean_gu = constant(constant_divisor ? 0 : args.mean_gu_given ? *known_mean_gu : sum_lanes(sum_gu) / n);
  for_each_vector(d, [&](int64_t i, auto part) {
    const Vector u = hn::Mul(hn::Sub(load(x + i, part), mean), rstd);
    store(hn::Mul(rstd, hn::NegMulAdd(u, mean_gu, hn::Sub(load(g + i, part), mean_g))), dx + i, part);
  });
}

template <bool silu, typename X, typename G>
void norm_backward_as(const NormBackwardArgs& args) {
  const int64_t times = args.x.shape[1], d = args.x.shape[2], rows = args.x.shape[0] * times;
  // Column gradients gather over groups of rows: one item, or everything.
  const bool by_item = args.scale.rank == 2 || args.shift.rank == 2;
  const int64_t groups = by_item ? args.x.shape[0] : 1, group = groups == 0 ? 0 : rows / groups;
  const Chunks chunks(group, d);
  PartialSums dscale(groups, chunks.count, d, args.dscale.as<float>()),
      dshift(groups, chunks.count, d, args.dshift.as<float>());
  const ThreadScratch scratch(3 * d);
  parallel_for(
      groups * chunks.count, std::min(chunks.size, group) * d * 6, [&](int64_t begin, int64_t end, int thread) {
        Columns columns(args.scale, args.shift, args.scale_offset, d, scratch.of(thread));
        float* g = scratch.of(thread) + 2 * d;
        for (int64_t task = begin; task < end; ++task) {
          const int64_t owner = task / chunks.count, chunk = task % chunks.count;
          float *scale_sums = dscale.zeroed(owner, chunk), *shift_sums = dshift.zeroed(owner, chunk);
          const int64_t first = owner * group + chunk * chunks.size,
                        last = std::min(first + chunks.size, (owner + 1) * group);
          for (int64_t row = first; row < last; ++row) {
            const int64_t item = row / times;
            columns.select(item);
            const X* x = args.x.as<const X>() + item * args.x.stride[0] + row % times * args.x.stride[1];
            const Statistics s{args.mean ? args.mean.as<const float>()[row] : 0, args.rstd.as<const float>()[row]};
            row_backward<silu>(args, args.dy.as<const G>() + row * d, x, args.dx ? args.dx.as<X>() + row * d : nullptr,
                               d, s, columns, g, scale_sums, shift_sums,
                               args.mean_gu ? args.mean_gu.as<float>() + row : nullptr);
          }
        }
      });
  dscale.finish();
  dshift.finish();
}

void norm_backward_here(const NormBackwardArgs& args) {
  if (args.x.shape[2] == 0) return;
  with_type(args.x.dtype, [&](auto x) {
    with_type(args.dy.dtype, [&](auto g) {
      if (args.silu)
        norm_backward_as<true, decltype(x), decltype(g)>(args);
      else
        norm_backward_as<false, decltype(x), decltype(g)>(args);
    });
  });
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(norm_here);
HWY_EXPORT(norm_backward_here);
void norm(const NormArgs& args) { HWY_DYNAMIC_DISPATCH(norm_here)(args); }
void norm_backward(const NormBackwardArgs& args) { HWY_DYNAMIC_DISPATCH(norm_backward_here)(args); }
}  // namespace baton::kernels::cpu
#endif
