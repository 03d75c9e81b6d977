#include "pipelines/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "engine/core/log.h"

namespace baton {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// What a rank uses of its caller.
struct Callers {
  ~Callers() { std::fputs("gone", stderr); }
};

void hang_on_two_ranks() {
  start_log(false);
  const Callers used;
  const std::atomic<bool> stop = false;
  const Runtime runtime{DType::f32, 2, ProgressMode::none, stop};
  on_ranks(
      {.ranks = 2, .mesh = "dp=2"}, runtime, std::vector{1.0}, [] { return Terms(); },
      [&](const Layout& layout) {
        layout.everyone().set_step(4);
        while (layout.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(1));
        layout.everyone().barrier();
      });
}

TEST(OnRanksDeathTest, AHangingRankEndsTheProcessWithWhatItUses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(hang_on_two_ranks(), testing::ExitedWithCode(exit_failed),
              AllOf(HasSubstr("rank 1 in step 4 hangs"), Not(HasSubstr("gone"))));
}

}  // namespace
}  // namespace baton
