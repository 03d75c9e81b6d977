// Functions of f32 vectors: see kernels/cpu/simd.h for how this is compiled.
#if defined(BATON_KERNELS_CPU_MATH) == defined(HWY_TARGET_TOGGLE)  // once per target
#ifdef BATON_KERNELS_CPU_MATH
#undef BATON_KERNELS_CPU_MATH
#else
#define BATON_KERNELS_CPU_MATH
#endif

#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {

HWY_INLINE Vector constant(float value) { return hn::Set(lanes, value); }

// Unlike Highway's Max and Min, these pass a NaN on for every instruction set.
HWY_INLINE Vector at_least(Vector low, Vector x) { return hn::IfThenElse(hn::Lt(x, low), low, x); }
HWY_INLINE Vector at_most(Vector high, Vector x) { return hn::IfThenElse(hn::Gt(x, high), high, x); }

// c[0] + c[1] x + c[2] x^2 + …
template <size_t N>
HWY_INLINE Vector polynomial(Vector x, const float (&c)[N]) {
  Vector sum = constant(c[N - 1]);
  for (size_t i = N - 1; i-- > 0;) sum = hn::MulAdd(sum, x, constant(c[i]));
  return sum;
}

// x = n ln 2 + r with a whole n and |r| <= ln 2 / 2, for |x| < 2^21: n as a number and, in the low bits of `shifted`,
// as an integer; e^r by a minimax polynomial (relative error 2e-9).
struct Exponential {
  Vector n, shifted, e_to_r;
};
HWY_INLINE Exponential exponential(Vector x) {
  const Vector magic = constant(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vector shifted = hn::MulAdd(x, constant(1.44269504f), magic), n = hn::Sub(shifted, magic);
  const Vector r = hn::NegMulAdd(n, constant(1.42860677e-6f), hn::NegMulAdd(n, constant(0.693145752f), x));
  return {n, shifted,
          polynomial(r, {1.0f, 1.00000003632f, 0.499999920798f, 0.166664201699f, 0.0416682255766f, 0.00837481580293f,
                         0.00138368456035f})};
}

// e^x within 1e-7 relative, over the whole range: denormal results and infinities come out as they should.
HWY_INLINE Vector exp_of(Vector x) {
  const hn::RebindToSigned<Lanes> integers;
  const Exponential e = exponential(at_least(constant(-104.0f), at_most(constant(89.0f), x)));
  const auto power_of_two = [&](auto k) HWY_ATTR {
    return hn::BitCast(lanes, hn::ShiftLeft<23>(hn::Add(k, hn::Set(integers, 127))));
  };
  const auto n = hn::ConvertTo(integers, e.n), half = hn::ShiftRight<1>(n);  // 2^n in two steps
  return hn::Mul(hn::Mul(e.e_to_r, power_of_two(half)), power_of_two(hn::Sub(n, half)));
}

// e^x within 1e-7 relative for -87 <= x <= 88, and its value at the nearest of these elsewhere, which is next to
// nothing or enough to be infinite for most purposes. For NaN it is some number: callers have another factor that is
// NaN.
HWY_INLINE Vector exp_within(Vector x) {
  const Exponential e = exponential(hn::Max(constant(-87.0f), hn::Min(constant(88.0f), x)));
  const hn::RebindToSigned<Lanes> integers;
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(integers, e.shifted));
  return hn::BitCast(lanes, hn::Add(hn::BitCast(integers, e.e_to_r), exponent));
}

// 1 / (1 + e^-x), up to 1e-38. For NaN it is some number: see exp_within().
HWY_INLINE Vector sigmoid(Vector x) { return hn::Div(constant(1), hn::Add(constant(1), exp_within(hn::Neg(x)))); }

// The standard normal distribution: cumulative P(X <= x) and e^(-x^2 / 2). With z = |x| / sqrt 2, erfc(z) = e^(-z^2) t
// P(t) where t = 1 / (1 + 0.4 z) and P is a minimax polynomial on t in [0.19, 1] (relative error 1e-8).
struct Normal {
  Vector cumulative, bell;
};
HWY_INLINE Normal normal(Vector x) {
  const Vector bell = exp_within(hn::Mul(hn::Mul(x, x), constant(-0.5f)));
  const Vector t = hn::Div(constant(1), hn::MulAdd(hn::Abs(x), constant(0.4f * 0.707106781f), constant(1)));
  const Vector p =
      polynomial(t, {0.225705558595f, 0.224978305278f, 0.214700533153f, 0.130700130742f, 0.269113059185f,
                     -0.278863612792f, 0.540818052223f, -0.493849216348f, 0.195903015456f, -0.0292058171833f});
  const Vector tail = hn::Mul(hn::Mul(constant(0.5f), bell), hn::Mul(t, p));
  return {hn::IfThenElse(hn::Lt(x, hn::Zero(lanes)), tail, hn::Sub(constant(1), tail)), bell};
}

}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
