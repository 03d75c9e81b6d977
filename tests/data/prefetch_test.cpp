#include "engine/data/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace baton {
namespace {

TEST(Prefetcher, ReturnsTheSequenceInOrder) {
  Prefetcher<std::unique_ptr<int64_t>> fetch([](int64_t i) { return std::make_unique<int64_t>(i * i); }, 5);
  for (int64_t i = 5; i < 200; ++i) EXPECT_EQ(*fetch.next(), i * i);
}

TEST(Prefetcher, StaysNoFurtherAheadThanAsked) {
  std::atomic<int64_t> made = 0;
  Prefetcher<int64_t> fetch([&](int64_t i) { return ++made, i; }, 0, 3);
  EXPECT_EQ(fetch.next(), 0);
  for (int wait = 0; wait < 1000 && made < 5; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(made, 5);  // one taken, three ready, one in hand
}

TEST(Prefetcher, PassesErrorsOn) {
  Prefetcher<int64_t> fetch([](int64_t i) { return i < 3 ? i : throw std::runtime_error("three"); }, 0, 1);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(fetch.next(), i);
  EXPECT_THROW(fetch.next(), std::runtime_error);
  EXPECT_THROW(fetch.next(), std::runtime_error);
}

TEST(Prefetcher, StopsAtOnce) {
  for (int i = 0; i < 50; ++i) Prefetcher<int64_t>([](int64_t j) { return j; }, 0);
  Prefetcher<int64_t> failing([](int64_t) -> int64_t { throw std::runtime_error("never asked for"); }, 0);
}

}  // namespace
}  // namespace baton
