#include "engine/ops/elementwise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "tests/kernels/target.h"
#include "tests/ops/reference_check.h"

namespace baton::test {
namespace {

// Lengths around the vector widths of AVX2 (8) and AVX-512 (16), and one that several threads share.
const std::vector<int64_t> lengths{1, 7, 8, 9, 15, 16, 17, 67, 40001};

using Scalar = std::function<double(double, double)>;
struct BinaryCase {
  Tensor (*op)(const Tensor&, const Tensor&);
  Scalar reference;
};
const std::vector<BinaryCase> binary_cases{{add, [](double a, double b) { return a + b; }},
                                           {sub, [](double a, double b) { return a - b; }},
                                           {mul, [](double a, double b) { return a * b; }}};

// The reference: both operands written out to the result's shape.
std::vector<double> reference(const BinaryCase& c, const Tensor& a, const Tensor& b, const Shape& shape) {
  const std::vector<float> x = expand(a, shape).to_vector(), y = expand(b, shape).to_vector();
  std::vector<double> out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(c.reference(x[i], y[i]));
  return out;
}

TEST(Elementwise, BinaryBroadcasts) {
  const std::vector<std::array<Shape, 3>> shapes{
      {Shape{5}, Shape{5}, Shape{5}},
      {Shape{2, 3, 17}, Shape{17}, Shape{2, 3, 17}},
      {Shape{2, 3, 17}, Shape{2, 1, 17}, Shape{2, 3, 17}},
      {Shape{2, 3, 17}, Shape{2, 3, 1}, Shape{2, 3, 17}},
      {Shape{}, Shape{2, 33}, Shape{2, 33}},
      {Shape{4, 1, 6}, Shape{5, 1}, Shape{4, 5, 6}},
      {Shape{1, 1}, Shape{1}, Shape{1, 1}},
      {Shape{3, 2, 5000}, Shape{2, 5000}, Shape{3, 2, 5000}},
  };
  for (const BinaryCase& c : binary_cases)
    for (const auto& [a, b, out] : shapes) {
      const Tensor x = random(a, 1), y = random(b, 2);
      const Tensor got = c.op(x, y);
      EXPECT_EQ(got.shape(), out);
      expect_close(got, reference(c, x, y, out), 1e-7);
      expect_close(c.op(y, x), reference(c, y, x, out), 1e-7);
    }
}

TEST(Elementwise, BinaryLengthsAndDtypes) {
  for (const BinaryCase& c : binary_cases)
    for (int64_t n : lengths) {
      const Tensor x = random({n}, 1), y = random({n}, 2), lx = to_bf16(x), ly = to_bf16(y);
      expect_close(c.op(x, y), reference(c, x, y, {n}), 1e-7);
      EXPECT_EQ(c.op(lx, y).dtype(), DType::f32);
      expect_close(c.op(lx, y), reference(c, lx, y, {n}), 1e-7);
      expect_close(c.op(x, ly), reference(c, x, ly, {n}), 1e-7);
      EXPECT_EQ(c.op(lx, ly).dtype(), DType::bf16);
      expect_close(c.op(lx, ly), reference(c, lx, ly, {n}), 0.004);
    }
}

TEST(Elementwise, BinaryOnWindows) {
  const Tensor wide = random({6, 40}, 1), part = narrow(wide, 1, 3, 21), other = random({6, 21}, 2);
  for (const BinaryCase& c : binary_cases) {
    expect_close(c.op(part, other), reference(c, part, other, {6, 21}), 1e-7);
    const Tensor turned = wide.alias({40, 6}, {1, 40});
    const Tensor y = random({40, 6}, 3);
    expect_close(c.op(turned, y), reference(c, turned, y, {40, 6}), 1e-7);
  }
}

TEST(Elementwise, BinaryGradients) {
  for (const BinaryCase& c : binary_cases) {
    const Function f = [&](auto& in) { return c.op(in[0], in[1]); };
    check_gradient(f, {random({2, 3, 5}, 1), random({2, 3, 5}, 2)});
    check_gradient(f, {random({2, 3, 5}, 1), random({2, 1, 5}, 2)});
    check_gradient(f, {random({5}, 1), random({2, 3, 5}, 2)});
    check_gradient(f, {random({}, 1), random({7}, 2)});
    check_bf16(f, {random({2, 3, 33}, 1), random({33}, 2)});
  }
  check_gradient([](auto& in) { return in[0] * in[0]; }, {random({9}, 1)});
}

TEST(Elementwise, ShapesThatDoNotBroadcastAreRefused) {
  EXPECT_THROW(add(random({2, 3}, 1), random({2}, 2)), LogicError);
  EXPECT_THROW(mul(random({2}, 1), Tensor::from_ids(std::vector<int32_t>{1, 2}, {2})), LogicError);
}

struct UnaryCase {
  const char* name;
  Function op;
  std::function<double(double)> reference;
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
const std::vector<UnaryCase> unary_cases{
    {"affine", [](auto& in) { return affine(in[0], -1.5f, 0.25f); }, [](double x) { return -1.5 * x + 0.25; }},
    {"gelu_tanh", [](auto& in) { return gelu_tanh(in[0]); },
     [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
    {"gelu", [](auto& in) { return gelu(in[0]); }, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }},
    {"quick_gelu", [](auto& in) { return quick_gelu(in[0]); }, [](double x) { return x * sigmoid(1.702 * x); }},
    {"silu", [](auto& in) { return silu(in[0]); }, [](double x) { return x * sigmoid(x); }},
    {"relu", [](auto& in) { return relu(in[0]); }, [](double x) { return std::max(x, 0.0); }},
    {"exp", [](auto& in) { return exp(in[0]); }, [](double x) { return std::exp(x); }},
    {"square", [](auto& in) { return square(in[0]); }, [](double x) { return x * x; }},
    {"abs", [](auto& in) { return abs(in[0]); }, [](double x) { return std::abs(x); }},
    {"clamp", [](auto& in) { return clamp(in[0], -0.5f, 0.75f); }, [](double x) { return std::clamp(x, -0.5, 0.75); }},
};

TEST(Elementwise, UnaryValues) {
  for (const UnaryCase& c : unary_cases) {
    SCOPED_TRACE(c.name);
    for (int64_t n : lengths) {
      const Tensor x = random({n}, 3, 3), low = to_bf16(x);
      std::vector<double> wanted, rounded;
      for (float v : x.to_vector()) wanted.push_back(c.reference(v));
      for (float v : low.to_vector()) rounded.push_back(c.reference(v));
      expect_close(c.op({x}), wanted, 3e-7);
      EXPECT_EQ(c.op({low}).dtype(), DType::bf16);
      expect_close(c.op({low}), rounded, 0.004);
    }
  }
}

TEST(Elementwise, Rsqrt) {
  for (int64_t n : lengths) {
    const Tensor x = affine(square(random({n}, 4)), 1, 0.25f);
    std::vector<double> wanted;
    for (float v : x.to_vector()) wanted.push_back(1 / std::sqrt(static_cast<double>(v)));
    expect_close(rsqrt(x), wanted, 3e-7);
    check_gradient([](auto& in) { return rsqrt(in[0]); }, {x});
  }
}

// Each value by itself, on a fine grid: |error| <= 4e-7 of the value or 2e-7 of |x|.
TEST(Elementwise, UnaryAccuracy) {
  std::vector<float> grid;
  for (int i = -24000; i <= 24000; ++i) grid.push_back(static_cast<float>(i) / 2000);
  const Tensor x = Tensor::from(grid, {static_cast<int64_t>(grid.size())});
  for (const UnaryCase& c : unary_cases) {
    const std::vector<float> got = c.op({x}).to_vector();
    for (size_t i = 0; i < grid.size(); ++i) {
      const double wanted = c.reference(grid[i]);
      ASSERT_NEAR(got[i], wanted, std::max(4e-7 * std::abs(wanted), 2e-7 * std::abs(grid[i])))
          << c.name << " of " << grid[i];
    }
  }
}

TEST(Elementwise, UnaryExtremes) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{-infinity, -1e4f, -100, -88, 0, 88, 100, 1e4f, infinity, NAN}, {10});
  const std::vector<float> e = exp(x).to_vector(), g = gelu(x).to_vector(), s = silu(x).to_vector();
  EXPECT_EQ(e[0], 0);
  EXPECT_EQ(e[1], 0);
  EXPECT_NEAR(e[2] / std::exp(-100.0), 1, 0.05);  // denormal
  EXPECT_NEAR(e[5] / std::exp(88.0), 1, 1e-6);
  EXPECT_EQ(e[6], infinity);
  EXPECT_EQ(e[8], infinity);
  EXPECT_NEAR(s[1], 0, 1e-30);
  EXPECT_EQ(s[7], 1e4f);
  EXPECT_NEAR(g[1], 0, 1e-30);
  EXPECT_EQ(g[7], 1e4f);
  for (const UnaryCase& c : unary_cases) EXPECT_TRUE(std::isnan(c.op({x}).to_vector()[9])) << c.name;
}

TEST(Elementwise, UnaryGradients) {
  // Kinks (0, -0.5, 0.75) stay at a distance from the samples.
  std::vector<float> samples;
  for (int i = -17; i < 18; ++i) samples.push_back(0.2f * static_cast<float>(i) + 0.05f);
  for (const UnaryCase& c : unary_cases) {
    SCOPED_TRACE(c.name);
    check_gradient(c.op, {Tensor::from(samples, {5, 7})}, 2e-3, 0.02);
    check_bf16(c.op, {Tensor::from(samples, {35})}, 0.03);
    check_gradient([&](auto& in) { return c.op({narrow(in[0], 1, 1, 3)}); }, {Tensor::from(samples, {5, 7})}, 2e-3,
                   0.02);
  }
  const auto kink = run([](auto& in) { return abs(in[0]); }, {Tensor::zeros({3})});
  EXPECT_EQ(kink.gradients[0].to_vector(), std::vector<float>(3, 0.0f));
}

TEST(Elementwise, GatedAdd) {
  for (int64_t d : {1, 7, 8, 16, 33}) {
    const Tensor x = random({2, 5, d}, 1), gate = random({2, d}, 2), y = random({2, 5, d}, 3);
    const Tensor wanted = x + reshape(gate, {2, 1, d}) * y;
    expect_close(gated_add(x, gate, y), wanted.to_vector(), 3e-7);
    const Function f = [](auto& in) { return gated_add(in[0], in[1], in[2]); };
    check_gradient(f, {x, gate, y});
    check_bf16(f, {x, gate, y});
    EXPECT_EQ(gated_add(x, gate, to_bf16(y)).dtype(), DType::f32);
    EXPECT_EQ(gated_add(to_bf16(x), gate, y).dtype(), DType::bf16);
  }
  // A gate that is a row of a table, and enough rows for several chunks.
  const Function f = [](auto& in) { return gated_add(in[0], reshape(narrow(in[1], 1, 2, 1), {2, 130}), in[2]); };
  const Reference reference = [](auto& in) {
    Values out = in[0];
    for (size_t i = 0; i < out.size(); ++i) out[i] += in[1][(i / (600 * 130) * 4 + 2) * 130 + i % 130] * in[2][i];
    return out;
  };
  check_reference(f, reference, {random({2, 600, 130}, 1), random({2, 4, 130}, 2), random({2, 600, 130}, 3)});
}

TEST(Elementwise, CastRoundsToNearestEven) {
  const std::vector<float> values{1.0f,    1.00390625f, 1.01171875f, -1.00390625f, 3.3895314e38f,
                                  3.4e38f, 1e-40f,      0.0f,        -0.0f};
  for (int64_t repeat : {1, 3, 5}) {
    std::vector<float> many;
    for (int64_t i = 0; i < repeat; ++i) many.insert(many.end(), values.begin(), values.end());
    const Tensor x = Tensor::from(many, {static_cast<int64_t>(many.size())}), low = cast(x, DType::bf16);
    for (size_t i = 0; i < many.size(); ++i) EXPECT_EQ(low.data<uint16_t>()[i], f32_to_bf16(many[i])) << many[i];
    const Tensor back = cast(low, DType::f32);
    for (size_t i = 0; i < many.size(); ++i) EXPECT_EQ(back.data<float>()[i], bf16_to_f32(low.data<uint16_t>()[i]));
  }
  // NaNs whose rounded upper half would be an infinity or a zero.
  for (uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu})
    for (float v : cast(Tensor::full({17}, std::bit_cast<float>(bits)), DType::bf16).to_vector())
      EXPECT_TRUE(std::isnan(v)) << bits;
  const Tensor x = random({3, 4}, 1);
  EXPECT_EQ(cast(x, DType::f32).raw(), x.raw());
  check_gradient([](auto& in) { return in[0] * cast(in[0], DType::f32); }, {random({5}, 1)});
  const auto low = run([](auto& in) { return cast(in[0], DType::bf16); }, {random({40}, 1)});
  EXPECT_EQ(low.gradients[0].dtype(), DType::f32);
  EXPECT_EQ(low.gradients[0].to_vector(), low.direction.to_vector());
}

}  // namespace
}  // namespace baton::test
