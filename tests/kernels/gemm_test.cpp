#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

#include "tests/kernels/guarded.h"
#include "tests/reference/matmul.h"

namespace baton::kernels {
namespace {

using test::Guarded;

float to_f32(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// Exactly representable in bf16, so that one set of values serves both types.
std::vector<float> values(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(static_cast<int>(engine() % 255) - 127) / 64;
  return out;
}

// A matrix inside guarded memory with a leading dimension of its own, row- or column-major.
struct Operand {
  std::vector<float> content;  // row-major, without gaps
  Guarded memory;
  View view;

  Operand(int64_t rows, int64_t columns, DType dtype, bool column_major, int64_t gap, unsigned seed)
      : content(values(rows * columns, seed)),
        memory({column_major ? columns : rows, (column_major ? rows : columns) + gap}, dtype),
        view(memory.view()) {
    const int64_t step = view.stride[0];
    view.shape[0] = rows, view.shape[1] = columns;
    view.stride[0] = column_major ? 1 : step, view.stride[1] = column_major ? step : 1;
    for (int64_t i = 0; i < rows * columns; ++i)
      set(i / columns * view.stride[0] + i % columns * view.stride[1], content[i]);
  }
  void set(int64_t offset, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (view.dtype == DType::bf16)
      view.as<uint16_t>()[offset] = static_cast<uint16_t>(bits >> 16);
    else
      view.as<float>()[offset] = value;
  }
  float get(int64_t offset) const {
    return view.dtype == DType::bf16 ? to_f32(view.as<uint16_t>()[offset]) : view.as<float>()[offset];
  }
};

struct Case {
  int64_t m, n, k;
  bool a_turned, b_turned;
  int64_t gap;
  DType input, output;
  bool bias;
};

// The product's rounding error grows with the sum of |a b|; that of a bf16 result with its size.
void expect_product(const Case& c, const Operand& a, const Operand& b, const Operand& result,
                    const std::vector<float>& bias) {
  auto wanted = reference::matmul({a.content, c.k, 1}, {b.content, c.n, 1}, c.m, c.n, c.k);
  for (int64_t i = 0; i < c.m * c.n; ++i) {
    wanted[i] += (c.bias ? bias[i % c.n] : 0);
    const double bound =
        1e-6 * 4 * std::sqrt(static_cast<double>(c.k)) + (c.output == DType::bf16 ? 0.004 * std::abs(wanted[i]) : 0);
    ASSERT_NEAR(result.get(i / c.n * result.view.stride[0] + i % c.n), wanted[i], bound) << "element " << i;
  }
}

class GemmCases : public testing::TestWithParam<Case> {};

TEST_P(GemmCases, MatchesDoubleReferenceAndStaysInside) {
  const Case c = GetParam();
  const Operand a(c.m, c.k, c.input, c.a_turned, c.gap, 1), b(c.k, c.n, c.input, c.b_turned, c.gap, 2);
  const Operand bias(1, c.n, c.output, false, 0, 3);
  Operand result(c.m, c.n, c.output, false, c.gap, 4);
  View bias_view = bias.view;
  bias_view.rank = 1, bias_view.shape[0] = c.n, bias_view.stride[0] = 1;
  GemmArgs args{.a = a.view, .b = b.view, .c = result.view};
  if (c.bias) args.bias = bias_view;
  cpu::gemm(args);
  expect_product(c, a, b, result, bias.content);
  EXPECT_TRUE(result.memory.intact());
  for (int64_t i = 0; i < c.m; ++i)  // the gaps between rows still hold what Guarded put there
    for (int64_t j = c.n; j < c.n + c.gap; ++j) EXPECT_TRUE(std::isnan(result.get(i * result.view.stride[0] + j)));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const int64_t sizes[][3] = {{1, 1, 1},    {1, 17, 3},    {17, 1, 3},    {3, 17, 1},
                              {64, 64, 64}, {33, 47, 129}, {100, 80, 300}};
  for (const auto& [m, n, k] : sizes)
    for (int bits = 0; bits < 8; ++bits)
      for (int types = 0; types < 3; ++types)
        all.push_back({m, n, k, (bits & 1) != 0, (bits & 2) != 0, bits & 4 ? 5 : 0,
                       types == 0 ? DType::f32 : DType::bf16, types == 2 ? DType::bf16 : DType::f32, (bits & 1) == 0});
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, GemmCases, testing::ValuesIn(cases()), [](const auto& info) {
  const Case& c = info.param;
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + (c.a_turned ? "_At" : "") +
         (c.b_turned ? "_Bt" : "") + (c.gap ? "_gap" : "") + (c.input == DType::bf16 ? "_bf16" : "_f32") +
         (c.output == DType::bf16 ? "_to_bf16" : "_to_f32") + (c.bias ? "_bias" : "");
});

TEST(Gemm, PacksEveryShape) {
  for (DType dtype : {DType::f32, DType::bf16})
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {3, 17}, {17, 3}, {64, 256}, {100, 70}}) {
      const Case c{19, n, k, false, true, 0, dtype, dtype, false};
      const Operand a(c.m, k, dtype, false, 0, 1), b(k, n, dtype, true, 3, 2);
      Operand result(c.m, n, dtype, false, 0, 4);
      const Guarded packed({cpu::packed_b_bytes(k, n, dtype)}, DType::u8);
      cpu::pack_b(b.view, dtype, packed.view().data);
      EXPECT_TRUE(packed.intact());
      View view = b.view;
      view.data = packed.view().data;
      cpu::gemm({.a = a.view, .b = view, .c = result.view, .b_is_packed = true});
      expect_product(c, a, b, result, {});
      EXPECT_TRUE(packed.intact());
    }
}

TEST(Gemm, RunsOnSeveralThreadsAtOnce) {
  const Case c{40, 50, 60, false, false, 0, DType::f32, DType::f32, false};
  const auto repeat = [&](unsigned seed) {
    const Operand a(c.m, c.k, DType::f32, false, 0, seed), b(c.k, c.n, DType::f32, false, 0, seed + 1);
    const Operand first(c.m, c.n, DType::f32, false, 0, seed + 2), again(c.m, c.n, DType::f32, false, 0, seed + 2);
    cpu::gemm({.a = a.view, .b = b.view, .c = first.view});
    expect_product(c, a, b, first, {});
    for (int round = 0; round < 3000; ++round) {
      std::memset(again.view.data, 0xff, c.m * c.n * sizeof(float));
      cpu::gemm({.a = a.view, .b = b.view, .c = again.view});
      ASSERT_EQ(std::memcmp(first.view.data, again.view.data, c.m * c.n * sizeof(float)), 0) << "round " << round;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) threads.emplace_back(repeat, 10 * t);
  for (std::thread& thread : threads) thread.join();
}

TEST(Gemm, RepeatsBitForBit) {
  for (bool turned : {false, true}) {
    const Operand a(300, 200, DType::f32, turned, 0, 1), b(200, 90, DType::f32, false, 0, 2);
    const Operand first(300, 90, DType::f32, false, 0, 4), second(300, 90, DType::f32, false, 0, 5);
    cpu::gemm({.a = a.view, .b = b.view, .c = first.view});
    cpu::gemm({.a = a.view, .b = b.view, .c = second.view});
    EXPECT_EQ(std::memcmp(first.view.data, second.view.data, 300 * 90 * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace baton::kernels
