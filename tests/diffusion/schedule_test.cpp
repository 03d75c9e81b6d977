#include "engine/diffusion/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/core/error.h"

// Agreement with diffusers' numbers is in sampler_golden_test.cpp.
namespace baton {
namespace {

TEST(Schedule, FallsFromNoiseToZero) {
  for (double shift : {0.5, 1.0, 1.1, 3.0, 12.0})
    for (int steps : {1, 2, 7, 50, 1000})
      for (const Schedule& schedule :
           {unipc_schedule(shift, steps), euler_schedule(shift, steps), dpm_solver_schedule(shift, steps)}) {
        ASSERT_EQ(schedule.steps(), steps);
        ASSERT_EQ(schedule.sigmas.size(), steps + 1u);
        EXPECT_GT(schedule.sigmas[0], 0.99f * (shift < 1 ? 0.99f : 1));
        EXPECT_LE(schedule.sigmas[0], 1);
        EXPECT_EQ(schedule.sigmas.back(), 0);
        for (int i = 0; i < steps; ++i) {
          EXPECT_GT(schedule.sigmas[i], schedule.sigmas[i + 1]);
          EXPECT_NEAR(schedule.timesteps[i], 1000 * schedule.sigmas[i], 1);
        }
      }
}

TEST(Schedule, CustomLevelsPassThroughTheShift) {
  const std::vector<double> levels{1, 0.5, 0.25};
  const Schedule euler = euler_schedule(3, levels), unipc = unipc_schedule(3, levels);
  EXPECT_EQ(euler.sigmas, (std::vector<float>{1, 0.75f, 0.5f, 0}));
  EXPECT_EQ(euler.timesteps, (std::vector<float>{1000, 750, 500}));
  EXPECT_EQ(unipc.sigmas, (std::vector<float>{1 - 1e-6f, 0.75f, 0.5f, 0}));
  EXPECT_EQ(unipc.timesteps, (std::vector<float>{999, 750, 500}));
}

TEST(Schedule, RefusesNonsense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (int steps : {0, -1, 1001}) EXPECT_THROW(unipc_schedule(1, steps), InputError) << steps;
  for (double shift : {0.0, -1.0, nan}) EXPECT_THROW(euler_schedule(shift, 4), InputError) << shift;
  const std::vector<std::vector<double>> bad{{}, {1.1, 0.5}, {0.5, 0.5}, {0.4, 0.6}, {0.5, 0}, {0.5, nan}};
  for (const std::vector<double>& sigmas : bad) {
    EXPECT_THROW(euler_schedule(1, sigmas), InputError) << fmt::format("{}", sigmas);
    EXPECT_THROW(unipc_schedule(1, sigmas), InputError) << fmt::format("{}", sigmas);
  }
}

TEST(StepTable, HoldsExpertAndGuidanceOfEachStep) {
  const Schedule schedule = unipc_schedule(5, 8);
  const ExpertRanges experts({0.875, 0.5});
  const std::vector<Step> table = step_table(schedule, experts, std::vector<double>{4, 3, 1});
  ASSERT_EQ(table.size(), 8u);
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(table[i].index, static_cast<int>(i));
    EXPECT_EQ(table[i].timestep, schedule.timesteps[i]);
    EXPECT_EQ(table[i].t, schedule.timesteps[i] / 1000.0);
    EXPECT_EQ(table[i].sigma, schedule.sigmas[i]);
    EXPECT_EQ(table[i].sigma_next, schedule.sigmas[i + 1]);
    EXPECT_EQ(table[i].expert, table[i].timestep >= 875 ? 0 : table[i].timestep >= 500 ? 1 : 2);
    EXPECT_EQ(table[i].guidance, (std::vector<float>{4, 3, 1})[table[i].expert]);
  }
  for (const Step& step : step_table(schedule, experts, std::vector<double>{2.5})) EXPECT_EQ(step.guidance, 2.5f);
}

// diffusers' WanVideoToVideoPipeline.get_timesteps: int(steps * strength) steps are left, with the quirks of its
// floating point.
TEST(StepTable, StrengthKeepsTheLastSteps) {
  struct Case {
    int steps;
    double strength;
    size_t left;
  };
  for (const Case& c : {Case{10, 1.0, 10}, {10, 0.55, 5}, {10, 0.3, 3}, {100, 0.29, 28}, {4, 0.25, 1}, {30, 0.6, 18}}) {
    const Schedule schedule = euler_schedule(3, c.steps);
    const std::vector<Step> table = step_table(schedule, ExpertRanges(), std::vector<double>{1}, c.strength);
    ASSERT_EQ(table.size(), c.left) << c.steps << " x " << c.strength;
    EXPECT_EQ(table.front().index, c.steps - static_cast<int>(c.left));
    EXPECT_EQ(table.front().sigma, schedule.sigmas[table.front().index]);
    EXPECT_EQ(table.back().sigma_next, 0);
  }
}

TEST(StepTable, LowStrengthLeavesOutTheNoisyExpert) {
  for (const Step& step : step_table(unipc_schedule(3, 20), ExpertRanges({0.875}), std::vector<double>{5, 4}, 0.5))
    EXPECT_EQ(step.expert, 1);
}

TEST(StepTable, RefusesNonsense) {
  const Schedule schedule = unipc_schedule(3, 4);
  const std::vector<double> one{1};
  for (double strength : {0.0, -0.5, 1.1, 0.2 /* no step left of 4 */})
    EXPECT_THROW(step_table(schedule, {}, one, strength), InputError);
  EXPECT_THROW(step_table(schedule, ExpertRanges({0.5}), std::vector<double>{1, 2, 3}), InputError);
}

}  // namespace
}  // namespace baton
