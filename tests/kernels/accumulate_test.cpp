#include "kernels/accumulate.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/kernels/guarded.h"
#include "tests/kernels/target.h"

namespace baton::test {
namespace {

using kernels::DType;
using kernels::View;
using Sizes = std::vector<int64_t>;

float bf16_value(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}
double read(const View& v, int64_t offset) {
  return v.dtype == DType::f32 ? v.as<const float>()[offset] : bf16_value(v.as<const uint16_t>()[offset]);
}
// Multiples of 1/8 in [-8, 8): exact in bf16.
void fill(const View& v, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = static_cast<float>((i * 7919 + i / 64) % 128 - 64) / 8;
    if (v.dtype == DType::f32)
      v.as<float>()[i] = value;
    else {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      v.as<uint16_t>()[i] = static_cast<uint16_t>(bits >> 16);
    }
  }
}

// scale * sums, in double, element by element.
std::vector<double> reference(const View& source, const View& target, double scale) {
  std::vector<double> sums(target.numel());
  for (int64_t n = 0; n < source.numel(); ++n) {
    int64_t rest = n, from = 0, to = 0, step = 1;
    for (int i = source.rank - 1; i >= 0; --i) {
      const int64_t index = rest % source.shape[i];
      rest /= source.shape[i];
      from += index * source.stride[i];
      const int t = i - (source.rank - target.rank);
      if (t < 0) continue;
      if (target.shape[t] > 1) to += index * step;
      step *= target.shape[t];
    }
    sums[to] += scale * read(source, from);
  }
  return sums;
}

struct Case {
  Sizes source, target;
};
const std::vector<Case> cases{
    {{}, {}},
    {{1}, {1}},
    {{17}, {17}},
    {{17}, {}},
    {{100003}, {1}},
    {{3, 5, 33}, {33}},
    {{3, 5, 33}, {1, 1, 33}},
    {{3, 5, 33}, {3, 1, 33}},
    {{3, 5, 33}, {3, 5, 1}},
    {{3, 5, 33}, {1, 5, 1}},
    {{3, 5, 33}, {3, 1, 1}},
    {{700, 300}, {300}},
    {{40, 5000}, {40, 1}},
    {{2, 3000, 40}, {2, 1, 40}},
    {{70, 60, 50}, {1, 60, 1}},
    {{2, 1, 2500}, {2, 1, 2500}},
    {{2, 3, 4, 5, 6}, {2, 1, 4, 1, 6}},
    {{0, 5}, {5}},
};

void check_case(const Case& c, const View& source) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    Guarded target(c.target, dtype);
    const auto sums = reference(source, target.view(), 0.5);
    const double tolerance = dtype == DType::f32 ? 1e-5 : 0.01;
    kernels::cpu::sum_to({source, target.view(), false, 0.5f});
    for (size_t i = 0; i < sums.size(); ++i)
      ASSERT_NEAR(read(target.view(), static_cast<int64_t>(i)), sums[i], tolerance * (10 + std::abs(sums[i]))) << i;
    kernels::cpu::sum_to({source, target.view(), true, 0.5f});
    for (size_t i = 0; i < sums.size(); ++i)
      ASSERT_NEAR(read(target.view(), static_cast<int64_t>(i)), 2 * sums[i], 2 * tolerance * (10 + std::abs(sums[i])))
          << i;
    EXPECT_TRUE(target.intact());
  }
}

TEST(SumTo, AllShapesAndDtypes) {
  for (size_t i = 0; i < cases.size(); ++i)
    for (DType dtype : {DType::f32, DType::bf16}) {
      SCOPED_TRACE(i);
      Guarded source(cases[i].source, dtype);
      fill(source.view(), source.view().numel());
      check_case(cases[i], source.view());
    }
}

// The same shapes as windows: last two dimensions exchanged, every other element of a row, and repeated values.
TEST(SumTo, AnyStrides) {
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    Sizes sizes = cases[i].source;
    if (sizes.empty() || sizes[0] == 0) continue;
    Sizes wide = sizes;
    wide.back() *= 2;
    Guarded memory(wide, DType::f32);
    fill(memory.view(), memory.view().numel());
    View window = memory.view();
    window.shape[window.rank - 1] = sizes.back();
    window.stride[window.rank - 1] = 2;
    check_case(cases[i], window);
    window.stride[window.rank - 1] = 0;
    check_case(cases[i], window);
    if (window.rank < 2) continue;
    View turned = memory.view();
    turned.shape[turned.rank - 1] = sizes.back();
    turned.stride[turned.rank - 2] = 1;
    turned.stride[turned.rank - 1] = sizes[sizes.size() - 2];
    check_case(cases[i], turned);
  }
}

TEST(SumTo, SameBitsForAnyNumberOfThreads) {
  const int before = omp_get_max_threads();
  for (const Case& c : cases) {
    Guarded source(c.source, DType::f32);
    for (int64_t i = 0; i < source.view().numel(); ++i)
      source.view().as<float>()[i] = static_cast<float>(std::sin(static_cast<double>(i) * 0.37));
    std::vector<std::vector<double>> results;
    for (int threads : {1, 2, 5}) {
      omp_set_num_threads(threads);
      Guarded target(c.target, DType::f32);
      kernels::cpu::sum_to({source.view(), target.view(), false});
      results.emplace_back();
      for (int64_t i = 0; i < target.view().numel(); ++i) results.back().push_back(read(target.view(), i));
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
  omp_set_num_threads(before);
}

}  // namespace
}  // namespace baton::test
