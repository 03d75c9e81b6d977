#include "engine/core/allocator.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "engine/core/error.h"

namespace baton {
namespace {

TEST(Allocator, BlocksAreAlignedAndRecycled) {
  release_cached();
  void* first = nullptr;
  {
    const auto block = allocate(1000);
    first = block.get();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  }
  EXPECT_EQ(allocate(1000).get(), first);
}

TEST(Allocator, CountsLivePeakAndCachedBytes) {
  release_cached();
  const int64_t before = memory_use().live;
  reset_peak();
  {
    const auto a = allocate(1 << 20), b = allocate(1 << 20);
    EXPECT_EQ(memory_use().live, before + (2 << 20));
    EXPECT_EQ(memory_use().cached, 0);
  }
  EXPECT_EQ(memory_use().live, before);
  EXPECT_EQ(memory_use().peak, before + (2 << 20));
  EXPECT_EQ(memory_use().cached, 2 << 20);
  release_cached();
  EXPECT_EQ(memory_use().cached, 0);
  reset_peak();
  EXPECT_EQ(memory_use().peak, before);
}

TEST(Allocator, ServesManyThreads) {
  const int64_t before = memory_use().live;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 1000; ++i) {
        const auto block = allocate(64 * (1 + (i * 7 + t) % 13));
        *static_cast<int*>(block.get()) = t;
        EXPECT_EQ(*static_cast<int*>(block.get()), t);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(memory_use().live, before);
}

TEST(Allocator, SaysWhenMemoryRunsOut) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end the process instead of returning null";
#endif
  EXPECT_THROW(allocate(int64_t{1} << 60), RunError);
}

}  // namespace
}  // namespace baton
