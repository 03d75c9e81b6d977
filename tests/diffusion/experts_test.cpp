#include "engine/diffusion/experts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/diffusion/schedule.h"

namespace baton {
namespace {

TEST(ExpertRanges, ValueOnABoundaryGoesToTheNoisierExpert) {
  const ExpertRanges experts({0.9, 0.7, 0.4});
  EXPECT_EQ(experts.count(), 4);
  EXPECT_EQ(experts.expert_of(1), 0);
  EXPECT_EQ(experts.expert_of(0.9), 0);
  EXPECT_EQ(experts.expert_of(0.8999), 1);
  EXPECT_EQ(experts.expert_of(0.7), 1);
  EXPECT_EQ(experts.expert_of(0.6999), 2);
  EXPECT_EQ(experts.expert_of(0.4), 2);
  EXPECT_EQ(experts.expert_of(0.3999), 3);
  EXPECT_EQ(experts.expert_of(0), 3);
}

TEST(ExpertRanges, RangesTileTheUnitInterval) {
  const ExpertRanges experts({0.9, 0.4});
  EXPECT_EQ(experts.range(0).high, 1);
  EXPECT_EQ(experts.range(0).low, 0.9);
  EXPECT_EQ(experts.range(1).high, 0.9);
  EXPECT_EQ(experts.range(1).low, 0.4);
  EXPECT_EQ(experts.range(2).high, 0.4);
  EXPECT_EQ(experts.range(2).low, 0);
  EXPECT_THROW(experts.range(3), LogicError);
  EXPECT_THROW(experts.range(-1), LogicError);
}

TEST(ExpertRanges, OneExpertOwnsEverything) {
  const ExpertRanges experts;
  EXPECT_EQ(experts.count(), 1);
  for (double t : {0.0, 0.5, 1.0}) EXPECT_EQ(experts.expert_of(t), 0);
}

TEST(ExpertRanges, RefusesBadDefinitionsAndNamesTheValues) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> bad{{-0.1},          {1.5},           {nan},    {infinity}, {0.4, 0.6},
                                             {0.9, nan, 0.1}, {0.9, 0.4, 0.5}, {0, 0.1}, {875.0}};
  for (const std::vector<double>& boundaries : bad) {
    try {
      ExpertRanges experts(boundaries);
      FAIL() << fmt::format("{} was accepted", boundaries);
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(fmt::format("{}", boundaries)), std::string::npos) << error.what();
    }
  }
}

// As diffusers with boundary_ratio 0 and 1: one of two experts does every step below t = 1.
TEST(ExpertRanges, BoundariesAtTheEndsAndEqualOnesLeaveExpertsOut) {
  const std::vector<std::pair<std::vector<double>, int>> owners{
      {{0}, 0}, {{1}, 1}, {{1, 1, 0}, 2}, {{1, 0, 0}, 1}, {{0.5, 0.5 - 1e-12 /* the same in f32 */}, 2}};
  for (const auto& [boundaries, owner] : owners) {
    const ExpertRanges experts(boundaries);
    EXPECT_TRUE(experts.has_idle_expert());
    for (double t : {0.0, 0.25, 0.499}) EXPECT_EQ(experts.expert_of(t), owner) << fmt::format("{} {}", boundaries, t);
  }
  EXPECT_EQ(ExpertRanges({1.0}).expert_of(1), 0);
  EXPECT_EQ(ExpertRanges({0.0}).expert_of(0), 0);
  EXPECT_EQ(ExpertRanges({0.5, 0.5}).expert_of(0.5), 0);
  EXPECT_FALSE(ExpertRanges({0.9, 0.4}).has_idle_expert());
  EXPECT_FALSE(ExpertRanges().has_idle_expert());
}

TEST(ExpertRanges, RefusesNoiseLevelsOutsideTheUnitInterval) {
  const ExpertRanges experts({0.5});
  for (double t : {-1e-9, 1.001, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THROW(experts.expert_of(t), LogicError);
}

// Expected: plain integer arithmetic, timestep / 1000 >= k / N without a rounding.
TEST(ExpertRanges, EqualWidthTablesOfEveryShiftAndCount) {
  for (int shift = 1; shift <= 12; ++shift)
    for (int n = 1; n <= 10; ++n) {
      const ExpertRanges experts = ExpertRanges::equal_width(n);
      ASSERT_EQ(experts.count(), n);
      for (const Schedule& schedule :
           {unipc_schedule(shift, 40), euler_schedule(shift, 40), dpm_solver_schedule(shift, 40)})
        for (const float timestep : schedule.timesteps) {
          int expected = 0;
          while (expected < n - 1 && static_cast<double>(timestep) * n < 1000.0 * (n - 1 - expected)) ++expected;
          ASSERT_EQ(experts.expert_of(noise_level(timestep)), expected)
              << "shift " << shift << ", " << n << " experts, timestep " << timestep;
        }
    }
}

// How many steps diffusers 0.42.1 gives to `transformer`: sum(t >= boundary * 1000 for t in scheduler.timesteps).
struct PeerTable {
  double shift;
  int steps;
  double boundary;
  int unipc, euler;
};
constexpr PeerTable peer_tables[] = {
    {1, 8, 0.875, 2, 1},     {1, 8, 0.9, 1, 1},      {1, 20, 0.875, 3, 3},    {1, 20, 0.9, 3, 2},
    {1, 40, 0.417, 24, 23},  {3, 8, 0.9, 3, 2},      {3, 20, 0.875, 7, 6},    {3, 20, 0.9, 6, 5},
    {3, 30, 0.875, 10, 9},   {3, 40, 0.417, 33, 32}, {5, 8, 0.875, 4, 3},     {5, 20, 0.9, 8, 7},
    {5, 30, 0.875, 13, 13},  {5, 40, 0.9, 15, 14},   {5, 40, 0.417, 36, 35},  {8, 8, 0.875, 5, 4},
    {8, 20, 0.417, 19, 18},  {8, 30, 0.9, 15, 14},   {8, 40, 0.875, 22, 21},  {8, 40, 0.417, 37, 37},
    {12, 8, 0.875, 6, 5},    {12, 20, 0.9, 12, 11},  {12, 30, 0.875, 19, 19}, {12, 40, 0.875, 26, 25},
    {12, 40, 0.417, 38, 38},
};

TEST(ExpertRanges, GivesDiffusersTables) {
  for (const PeerTable& peer : peer_tables) {
    const ExpertRanges experts({peer.boundary});
    EXPECT_EQ(experts.steps_per_expert(unipc_schedule(peer.shift, peer.steps).timesteps)[0], peer.unipc)
        << "unipc " << peer.shift << ' ' << peer.steps << ' ' << peer.boundary;
    EXPECT_EQ(experts.steps_per_expert(euler_schedule(peer.shift, peer.steps).timesteps)[0], peer.euler)
        << "euler " << peer.shift << ' ' << peer.steps << ' ' << peer.boundary;
  }
}

// diffusers compares an f32 timestep with f32(boundary * 1000), which lies above 933.33 for the first and below 933.331
// for the second boundary.
TEST(ExpertRanges, ComparesTimestepsInFloatAsDiffusersDoes) {
  for (const double boundary : {0.93333, 0.933331, 0.9333333}) {
    const float timestep = static_cast<float>(boundary * 1000);
    const ExpertRanges experts({boundary});
    EXPECT_EQ(experts.expert_of(noise_level(timestep)), 0) << boundary;
    EXPECT_EQ(experts.expert_of(noise_level(std::nextafter(timestep, 0.0f))), 1) << boundary;
  }
}

TEST(ExpertRanges, EveryWholeTimestepSurvivesTheWayThroughT) {
  for (int timestep = 0; timestep <= 1000; ++timestep) {
    EXPECT_EQ(timestep_of(noise_level(timestep)), timestep);
    if (timestep == 0 || timestep == 1000) continue;
    EXPECT_EQ(ExpertRanges({timestep / 1000.0}).expert_of(noise_level(timestep)), 0) << timestep;
    EXPECT_EQ(ExpertRanges({timestep / 1000.0}).expert_of(noise_level(timestep - 1)), 1) << timestep;
  }
}

TEST(ExpertRanges, BoundariesForStepsGiveThoseSteps) {
  const std::vector<std::vector<int64_t>> wanted{{10},
                                                 {4, 6},
                                                 {1, 9},
                                                 {9, 1},
                                                 {2, 3, 5},
                                                 {0, 10},
                                                 {10, 0},
                                                 {0, 0, 4, 0, 0, 6, 0, 0},
                                                 {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  for (const double shift : {1.0, 5.0})
    for (const std::vector<int64_t>& steps : wanted) {
      const Schedule schedule = unipc_schedule(shift, 10);
      const ExpertRanges experts = ExpertRanges::for_steps(steps, schedule.timesteps);
      EXPECT_EQ(experts.steps_per_expert(schedule.timesteps), steps)
          << fmt::format("{} -> {}", steps, experts.boundaries());
    }
}

TEST(ExpertRanges, RefusesStepsThatNoBoundaryCanGive) {
  const Schedule unipc = unipc_schedule(5, 10), euler = euler_schedule(5, 10);
  const auto refused = [](std::vector<int64_t> steps, const std::vector<float>& timesteps) {
    EXPECT_THROW(ExpertRanges::for_steps(steps, timesteps), InputError) << fmt::format("{}", steps);
  };
  refused({}, unipc.timesteps);
  refused({4, 5}, unipc.timesteps);  // nine of ten
  refused({-1, 11}, unipc.timesteps);
  refused({0, 10}, euler.timesteps);  // the first step is at t = 1, which belongs to expert 0 whatever the boundary
  refused({1, 1}, {500.0f, 500.0f});  // truncated to the same timestep
}

}  // namespace
}  // namespace baton
