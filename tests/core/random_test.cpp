#include "engine/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace baton {
namespace {

// The zero vector is one of Random123's known answers (Salmon et al. 2011). Its other two have block numbers that no
// index reaches; the second block here comes from another implementation that gives all three.
TEST(Random, MatchesKnownAnswersOfPhilox) {
  EXPECT_EQ(random_bits(0, 0, 0), 0xe169c58d6627e8d5u);
  EXPECT_EQ(random_bits(0, 0, 1), 0x9b00dbd8bc57ac4cu);
  const uint64_t seed = 0x299f31d0a4093822u, stream = 0x0370734413198a2eu, block = 0x05a308d3243f6a88u;
  EXPECT_EQ(random_bits(seed, stream, 2 * block), 0x572a2f272fe11a02u);
  EXPECT_EQ(random_bits(seed, stream, 2 * block + 1), 0x78d5e3252f88763bu);
}

TEST(Random, DependsOnEachKey) {
  EXPECT_EQ(random_bits(1, 2, 3), random_bits(1, 2, 3));
  EXPECT_NE(random_bits(1, 2, 3), random_bits(2, 2, 3));
  EXPECT_NE(random_bits(1, 2, 3), random_bits(1, 3, 3));
  EXPECT_NE(random_bits(1, 2, 3), random_bits(1, 2, 4));
}

TEST(Random, UniformFillsTheUnitInterval) {
  constexpr int count = 100'000, bins = 10;
  int seen[bins] = {};
  for (int i = 0; i < count; ++i) {
    const double value = random_uniform(5, 0, i);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    ++seen[static_cast<int>(value * bins)];
  }
  for (int bin : seen) EXPECT_NEAR(bin, count / bins, 5 * std::sqrt(count / bins));
}

TEST(Random, BelowReachesEveryValueAndNoOther) {
  constexpr uint64_t n = 7;
  int seen[n] = {};
  for (int i = 0; i < 7000; ++i) {
    const uint64_t value = random_below(n, 5, 1, i);
    ASSERT_LT(value, n);
    ++seen[value];
  }
  for (int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(Random, NormalHasUnitMoments) {
  std::vector<float> values(200'000);
  random_normal(values, 9, 0);
  double sum = 0, squares = 0, fourth = 0;
  for (float v : values) {
    sum += v;
    squares += v * v;
    fourth += std::pow(v, 4);
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
}

// The promise that resume and any split over ranks stand on.
TEST(Random, NormalIsTheSameInAnyPieces) {
  std::vector<float> whole(37), pieces(37);
  random_normal(whole, 3, 4);
  const std::span<float> out(pieces);
  for (size_t first = 0, size = 1; first < 37; first += size, size = size % 5 + 1)
    random_normal(out.subspan(first, std::min<size_t>(size, 37 - first)), 3, 4, first);
  EXPECT_EQ(whole, pieces);
}

}  // namespace
}  // namespace baton
