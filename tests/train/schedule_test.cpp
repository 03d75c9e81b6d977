#include "engine/train/schedule.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(LearningRateSchedule, WarmsUpThenFallsAlongACosine) {
  const LearningRateSchedule schedule{.warmup = 4, .total = 12, .floor = 0.1};
  EXPECT_DOUBLE_EQ(schedule.factor(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule.factor(3), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(4), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(8), 0.1 + 0.9 * 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(12), 0.1);
  EXPECT_DOUBLE_EQ(schedule.factor(1000), 0.1);
}

TEST(LearningRateSchedule, StaysWithAFloorOfOne) {
  const LearningRateSchedule schedule{.total = 10, .floor = 1};
  for (int64_t step = 0; step < 20; ++step) EXPECT_DOUBLE_EQ(schedule.factor(step), 1);
}

}  // namespace
}  // namespace baton
