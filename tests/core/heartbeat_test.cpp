#include "engine/core/heartbeat.h"

#include <gtest/gtest.h>

#include <chrono>

namespace baton {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(Heartbeat, GoesOnDuringASlowCallAndStopsAfterIt) {
  std::atomic<int64_t> beats = 0;
  heartbeat = &beats;
  auto start = Clock::now();
  {
    const SlowCall call;
    std::this_thread::sleep_for(milliseconds(1300));
    EXPECT_GE(beats, 2);
    start = Clock::now();
  }
  EXPECT_LT(Clock::now() - start, milliseconds(900));  // it is not waited for
  const int64_t after = beats;
  std::this_thread::sleep_for(milliseconds(1300));
  EXPECT_EQ(beats, after);
  heartbeat = nullptr;
  const SlowCall nobody_listens;
}

}  // namespace
}  // namespace baton
