#include "engine/diffusion/time_distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/error.h"
#include "engine/diffusion/schedule.h"

namespace baton {
namespace {

using Law = TimeDistribution::Law;
constexpr TimeDistribution distributions[] = {{Law::uniform},
                                              {Law::uniform, 0, 1, 5},
                                              {Law::logit_normal},
                                              {Law::logit_normal, 0.5, 0.8, 3},
                                              {Law::logit_normal, -1, 2, 12}};

TEST(TimeDistribution, QuantileInvertsCumulative) {
  for (const TimeDistribution& d : distributions)
    for (double p = 0.001; p < 1; p += 0.0479) EXPECT_NEAR(d.cumulative(d.quantile(p)), p, 1e-12);
}

TEST(TimeDistribution, KnownValues) {
  const TimeDistribution uniform{Law::uniform}, shifted{Law::uniform, 0, 1, 3}, normal{Law::logit_normal, 0.3, 0.5, 1};
  EXPECT_DOUBLE_EQ(uniform.cumulative(0.3), 0.3);
  EXPECT_DOUBLE_EQ(shifted.cumulative(0.75), 0.5);                              // 3 * 0.5 / (1 + 2 * 0.5) = 0.75
  EXPECT_DOUBLE_EQ(normal.cumulative(1 / (1 + std::exp(-0.3))), 0.5);           // the median
  EXPECT_NEAR(normal.cumulative(1 / (1 + std::exp(-0.8))), 0.841344746, 1e-9);  // one deviation above
  EXPECT_EQ(normal.cumulative(0), 0);
  EXPECT_EQ(normal.cumulative(1), 1);
}

TEST(TimeDistribution, SharesOfExperts) {
  // The case that makes stratified draws necessary: 2.6 % for the noisy expert.
  const std::vector<double> shares = expected_shares(ExpertRanges({0.875}), {Law::logit_normal});
  EXPECT_NEAR(shares[0], 0.5 * std::erfc(std::log(7.0) / std::sqrt(2.0)), 1e-12);
  EXPECT_NEAR(shares[0], 0.026, 5e-4);
  EXPECT_NEAR(shares[0] + shares[1], 1, 1e-15);
  for (const TimeDistribution& d : distributions)
    for (int n = 1; n <= 10; ++n)
      for (double share : expected_shares(equal_shares(n, d), d)) EXPECT_NEAR(share, 1.0 / n, 1e-9);
}

// The marginal distribution: over many batches each tenth of the probability is hit equally often.
TEST(DrawTimes, FollowTheDistribution) {
  for (const TimeDistribution& d : distributions) {
    constexpr int batches = 500, size = 7, bins = 10;
    int seen[bins] = {};
    for (int b = 0; b < batches; ++b)
      for (double t : draw_times(d, size, 11, b)) ++seen[std::min(bins - 1, static_cast<int>(d.cumulative(t) * bins))];
    for (int count : seen) EXPECT_NEAR(count, batches * size / bins, 5 * std::sqrt(batches * size / bins));
  }
}

TEST(DrawTimes, EveryBatchGivesEachExpertItsShare) {
  for (const TimeDistribution& d : distributions)
    for (const ExpertRanges& experts :
         {ExpertRanges({0.875}), ExpertRanges({0.9, 0.7, 0.4}), ExpertRanges::equal_width(10)}) {
      const std::vector<double> shares = expected_shares(experts, d);
      std::vector<double> total(experts.count());
      constexpr int size = 32, batches = 50;
      for (int b = 0; b < batches; ++b) {
        std::vector<int> seen(experts.count());
        for (double t : draw_times(d, size, 3, b)) ++seen[experts.expert_of(t)];
        for (int i = 0; i < experts.count(); ++i) {
          EXPECT_LT(std::abs(seen[i] - size * shares[i]), 1 + 1e-6) << "expert " << i << " of " << experts.count();
          total[i] += seen[i];
        }
      }
      for (int i = 0; i < experts.count(); ++i) EXPECT_NEAR(total[i] / batches, size * shares[i], 0.5);
    }
}

TEST(DrawTimes, AreExactlyTheDenoisersTimesteps) {
  for (double t : draw_times({}, 100, 1, 1)) EXPECT_EQ(noise_level(timestep_of(t)), t);
}

TEST(DrawTimes, AreKeyedBySeedAndStream) {
  const TimeDistribution d;
  EXPECT_EQ(draw_times(d, 16, 1, 2), draw_times(d, 16, 1, 2));
  EXPECT_NE(draw_times(d, 16, 1, 2), draw_times(d, 16, 1, 3));
  EXPECT_NE(draw_times(d, 16, 1, 2), draw_times(d, 16, 2, 2));
}

// A sample's place in the batch says nothing about its noise level.
TEST(DrawTimes, AreInRandomOrder) {
  constexpr int size = 8, batches = 2000;
  double sum[size] = {};
  for (int b = 0; b < batches; ++b) {
    const std::vector<double> times = draw_times({Law::uniform}, size, 7, b);
    for (int i = 0; i < size; ++i) sum[i] += times[i];
  }
  for (double s : sum) EXPECT_NEAR(s / batches, 0.5, 5 * 0.2887 / std::sqrt(batches));
}

TEST(DrawTimes, StayInTheRangeAndKeepTheShapeThere) {
  const TimeDistribution d;
  const NoiseRange range{0.4, 0.7};
  double below = 0;
  constexpr int size = 1000;
  for (double t : draw_times(d, size, 1, 1, range)) {
    EXPECT_GE(t, range.low - 1e-7);
    EXPECT_LT(t, range.high);
    below += t < 0.5;
  }
  const double share = (d.cumulative(0.5) - d.cumulative(0.4)) / (d.cumulative(0.7) - d.cumulative(0.4));
  EXPECT_NEAR(below / size, share, 1.5 / size);
}

TEST(DrawTimes, RefuseNonsense) {
  EXPECT_THROW(draw_times({Law::uniform, 0, 1, 0}, 4, 1, 1), InputError);
  EXPECT_THROW(draw_times({Law::logit_normal, 0, -1, 1}, 4, 1, 1), InputError);
  EXPECT_THROW(draw_times({Law::logit_normal, NAN, 1, 1}, 4, 1, 1), InputError);
  EXPECT_THROW(draw_times({}, 4, 1, 1, {0.7, 0.4}), InputError);
  EXPECT_THROW(draw_times({}, 4, 1, 1, {0.5, 1.5}), InputError);
}

// The trainer asks with t, the sampler with the timestep that reaches the denoiser: a million times the same answer,
// boundaries included.
TEST(DrawTimes, TrainerAndSamplerChooseTheSameExpert) {
  const ExpertRanges tables[] = {ExpertRanges({0.875}), ExpertRanges({0.93333, 0.6180339, 0.2}),
                                 ExpertRanges::equal_width(10)};
  int draws = 0;
  const auto same = [&](double t) {
    for (const ExpertRanges& experts : tables)
      ASSERT_EQ(experts.expert_of(t), experts.expert_of(noise_level(timestep_of(t)))) << t;
    ++draws;
  };
  for (const TimeDistribution& d : distributions)  // most by the law that is quick to draw from
    for (int b = 0; b < (d.law == Law::uniform ? 470 : 20); ++b)
      for (double t : draw_times(d, 1000, 5, b)) same(t);
  EXPECT_EQ(draws, 1'000'000);
  for (const ExpertRanges& experts : tables)
    for (double boundary : experts.boundaries())
      for (double t = boundary - 1e-6; t < boundary + 1e-6; t += 1.3e-9) same(t);
}

}  // namespace
}  // namespace baton
