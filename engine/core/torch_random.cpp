#include "engine/core/torch_random.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace baton {
namespace {

constexpr uint32_t words = 624, offset = 397;

// PyTorch's AVX2 path takes its logarithm, sine and cosine from single-precision polynomials of the Cephes library
// (Moshier), whose products its compiler fuses into the sums that follow. A fused product is rounded once, so each
// std::fma below is part of the result.

// log x for normal x > 0: x = 2^e m with m in [sqrt(1/2), sqrt(2)), log x = e log 2 + log m.
float log_cephes(float x) {
  constexpr float coefficients[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                    -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                    2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  constexpr float log2_high = 0.693359375f,
                  log2_low = -2.12194440e-4f;  // their sum is log 2; the first has few bits, so e * it is exact
  int exponent;
  float m = std::frexp(x, &exponent);
  if (m < 0.707106781186547524f) {
    --exponent;
    m = m + m;
  }
  m -= 1;
  const float e = static_cast<float>(exponent), square = m * m;
  float y = coefficients[0];
  for (int i = 1; i < 9; ++i) y = std::fma(y, m, coefficients[i]);
  y = std::fma(y * m, square, e * log2_low);
  y = std::fma(square, -0.5f, y);
  return std::fma(e, log2_high, m + y);
}

struct SinCos {
  float sin, cos;
};

// For x >= 0: x is reduced to r in [-pi/4, pi/4] by the even multiple `octant` of pi/4 that is nearest; the octant says
// which polynomial and which sign each of the two takes.
SinCos sincos_cephes(float x) {
  constexpr float pi4_parts[] = {0.78515625f, 2.4187564849853515625e-4f,
                                 3.77489497744594108e-8f};  // their sum is pi / 4
  const int octant = (static_cast<int>(x * 1.27323954473516f) + 1) & ~1;
  float r = x;
  for (const float part : pi4_parts) r = std::fma(static_cast<float>(octant), -part, r);

  const float z = r * r;
  float c = std::fma(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  c = std::fma(c, z, 4.166664568298827e-2f);
  c = std::fma(c * z, z, -0.5f * z) + 1;
  float s = std::fma(-1.9515295891e-4f, z, 8.3321608736e-3f);
  s = std::fma(s, z, -1.6666654611e-1f);
  s = std::fma(s * z, r, r);

  if (octant & 2) std::swap(s, c);
  return {octant & 4 ? -s : s, (octant + 2) & 4 ? -c : c};
}

// 16 uniforms become 16 normals: number i and i + 8 are one Box-Muller pair.
void box_muller_16(float* out) {
  for (int i = 0; i < 8; ++i) {
    const float radius = std::sqrt(-2 * log_cephes(1 - out[i]));  // 1 - [0, 1) is never 0
    const auto [sin, cos] = sincos_cephes(static_cast<float>(2 * std::numbers::pi) * out[i + 8]);
    out[i] = radius * cos;
    out[i + 8] = radius * sin;
  }
}

}  // namespace

TorchGenerator::TorchGenerator(uint64_t seed) : position_(words) {
  state_[0] = static_cast<uint32_t>(seed);  // the upper half of the seed is not used
  for (uint32_t i = 1; i < words; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

uint32_t TorchGenerator::next() {
  if (position_ == words) {
    for (uint32_t i = 0; i < words; ++i) {
      const uint32_t joined = (state_[i] & 0x80000000u) | (state_[(i + 1) % words] & 0x7fffffffu);
      state_[i] = state_[(i + offset) % words] ^ (joined >> 1) ^ (joined & 1 ? 0x9908b0dfu : 0);
    }
    position_ = 0;
  }
  uint32_t y = state_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double TorchGenerator::next_double() {
  const uint64_t high = next(), low = next();
  return static_cast<double>((high << 32 | low) & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

float TorchGenerator::next_normal() {
  if (spare_normal_) return static_cast<float>(*std::exchange(spare_normal_, std::nullopt));
  const double u = next_double(), v = next_double();
  const double radius = std::sqrt(-2 * std::log1p(-v)), angle = 2 * std::numbers::pi * u;
  spare_normal_ = radius * std::sin(angle);
  return static_cast<float>(radius * std::cos(angle));
}

void TorchGenerator::randn(std::span<float> out) {
  if (out.size() < 16) {
    for (float& value : out) value = next_normal();
    return;
  }
  const auto fill_uniform = [this](std::span<float> values) {
    for (float& value : values) value = static_cast<float>(next() & 0xffffff) * 0x1p-24f;
  };
  fill_uniform(out);
  for (size_t i = 0; i + 16 <= out.size(); i += 16) box_muller_16(&out[i]);
  if (out.size() % 16 != 0) {  // the last 16 values are drawn anew, though some of them were done
    const auto last = out.last(16);
    fill_uniform(last);
    box_muller_16(last.data());
  }
}

}  // namespace baton
