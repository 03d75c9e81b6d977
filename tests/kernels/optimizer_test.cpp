#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/guarded.h"

namespace baton::test {
namespace {

namespace cpu = kernels::cpu;
using kernels::DType;

const std::vector<int64_t> lengths{1, 7, 8, 9, 15, 16, 17, 33, 50001};

// Some values in [-1, 1], different for each seed.
void fill(const Guarded& g, int seed) {
  for (int64_t i = 0; i < g.view().numel(); ++i)
    g.view().as<float>()[i] = static_cast<float>(std::sin(static_cast<double>(i * 37 + seed * 1001) * 0.7));
}
std::vector<double> values(const Guarded& g) {
  const float* p = g.view().as<const float>();
  return {p, p + g.view().numel()};
}
void expect_near(const Guarded& got, const std::vector<double>& wanted, double tolerance = 2e-6) {
  EXPECT_TRUE(got.intact());
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(got.view().as<const float>()[i], wanted[i], tolerance) << i;
}

TEST(Optimizer, AdamW) {
  constexpr double lr = 0.01, beta1 = 0.9, beta2 = 0.98, eps = 1e-4, weight_decay = 0.1, scale = 0.25,
                   average_weight = 0.125;
  for (int64_t n : lengths) {
    Guarded p({n}, DType::f32), g({n}, DType::f32), m({n}, DType::f32), v({n}, DType::f32), average({n}, DType::f32);
    fill(p, 1);
    fill(average, 2);
    fill(m, 3);
    fill(v, 4);
    for (int64_t i = 0; i < n; ++i) v.view().as<float>()[i] = std::abs(v.view().as<float>()[i]);
    auto wanted_p = values(p), wanted_m = values(m), wanted_v = values(v), wanted_average = values(average);
    for (int step = 1; step <= 3; ++step) {
      fill(g, 10 + step);
      cpu::adamw({p.view(), g.view(), m.view(), v.view(), lr, beta1, beta2, eps, weight_decay, step, scale,
                  average.view(), static_cast<float>(average_weight)});
      const auto gradient = values(g);
      for (size_t i = 0; i < wanted_p.size(); ++i) {
        wanted_m[i] = beta1 * wanted_m[i] + (1 - beta1) * scale * gradient[i];
        wanted_v[i] = beta2 * wanted_v[i] + (1 - beta2) * std::pow(scale * gradient[i], 2);
        const double mean = wanted_m[i] / (1 - std::pow(beta1, step));
        const double square = wanted_v[i] / (1 - std::pow(beta2, step));
        wanted_p[i] = (1 - lr * weight_decay) * wanted_p[i] - lr * mean / (std::sqrt(square) + eps);
        wanted_average[i] = (1 - average_weight) * wanted_average[i] + average_weight * wanted_p[i];
      }
    }
    expect_near(p, wanted_p, 1e-5);
    expect_near(m, wanted_m);
    expect_near(v, wanted_v);
    expect_near(average, wanted_average, 1e-5);
    const auto before = values(average);
    cpu::adamw({p.view(), g.view(), m.view(), v.view(), lr, beta1, beta2, eps, weight_decay, 4});  // without an average
    EXPECT_EQ(values(average), before);
  }
}

TEST(Optimizer, Momentum) {
  for (bool nesterov : {false, true})
    for (int64_t n : lengths) {
      Guarded g({n}, DType::f32), buffer({n}, DType::f32), update({n}, DType::f32), low({n}, DType::bf16);
      fill(g, 1);
      fill(buffer, 2);
      const auto gradient = values(g), before = values(buffer);
      std::vector<double> wanted, wanted_update;
      for (size_t i = 0; i < gradient.size(); ++i) {
        const double scaled = gradient[i] * 0.5;
        wanted.push_back(0.95 * before[i] + 0.05 * scaled);
        wanted_update.push_back(nesterov ? 0.95 * wanted[i] + 0.05 * scaled : wanted[i]);
      }
      cpu::momentum({g.view(), buffer.view(), update.view(), 0.95, nesterov, 0.5});
      expect_near(buffer, wanted);
      expect_near(update, wanted_update);
      fill(buffer, 2);
      cpu::momentum({g.view(), buffer.view(), low.view(), 0.95, nesterov, 0.5});
      EXPECT_TRUE(low.intact());
      for (int64_t i = 0; i < n; ++i) {
        const uint32_t bits = uint32_t{low.view().as<const uint16_t>()[i]} << 16;
        float value;
        std::memcpy(&value, &bits, sizeof value);
        ASSERT_NEAR(value, wanted_update[i], 0.004 * std::abs(wanted_update[i]) + 1e-6);
      }
    }
}

TEST(Optimizer, ApplyUpdateAndLerp) {
  for (int64_t n : lengths) {
    Guarded p({n}, DType::f32), update({n}, DType::f32), average({n}, DType::f32);
    fill(p, 1);
    fill(update, 2);
    fill(average, 3);
    const auto step = values(update);
    auto wanted = values(p), wanted_average = values(average);
    for (size_t i = 0; i < wanted.size(); ++i) {
      wanted[i] = 0.9 * wanted[i] - 0.3 * step[i];
      wanted_average[i] += 0.25 * (wanted[i] - wanted_average[i]);
    }
    cpu::apply_update({p.view(), update.view(), 0.3, 0.1, average.view(), 0.25f});
    expect_near(p, wanted);
    expect_near(average, wanted_average);
    for (size_t i = 0; i < wanted.size(); ++i) wanted_average[i] += 0.5 * (wanted[i] - wanted_average[i]);
    cpu::lerp({average.view(), p.view(), 0.5f});
    expect_near(average, wanted_average);
  }
}

TEST(Optimizer, SumOfSquares) {
  for (int64_t n : lengths) {
    Guarded x({n}, DType::f32);
    fill(x, 1);
    double wanted = 0;
    for (double v : values(x)) wanted += v * v;
    EXPECT_NEAR(cpu::sum_of_squares(x.view()) / wanted, 1, 1e-6);
  }
}

}  // namespace
}  // namespace baton::test
