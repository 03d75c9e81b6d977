#include "engine/core/heartbeat.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <functional>

namespace baton {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Stands in for a slow disk: a call of the system that takes `time`.
void wait_for_byte(milliseconds time) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::jthread writer([&] {
    std::this_thread::sleep_for(time);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
  });
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 1);
}

TEST(Heartbeat, GoesOnDuringASlowCallAndStopsAfterIt) {
  std::atomic<int64_t> beats = 0;
  heartbeat = &beats;
  auto start = Clock::now();
  {
    const SlowCall call;
    wait_for_byte(milliseconds(2500));
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

int64_t beats_while(const std::function<void()>& hang) {
  std::atomic<int64_t> beats = 0;
  heartbeat = &beats;
  {
    const SlowCall call;
    hang();
  }
  heartbeat = nullptr;
  return beats;
}

TEST(Heartbeat, EndsWhenTheThreadHangsInASlowCall) {
  constexpr int64_t at_the_start = 2;  // looks that may fall before the sleep
  EXPECT_LE(beats_while([] { std::this_thread::sleep_for(milliseconds(2500)); }), at_the_start);
  const auto spin = [](auto start) {
    while (Clock::now() - start < milliseconds(2500)) {
    }
  };
  EXPECT_LE(beats_while([&] { spin(Clock::now()); }), at_the_start);
}

}  // namespace
}  // namespace baton
