#include "engine/core/allocator.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "engine/core/error.h"

namespace baton {
namespace {

// Bytes that this process has mapped.
rlim_t address_space() {
  std::ifstream sizes("/proc/self/statm");
  rlim_t pages = 0;
  sizes >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

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

// One at a time, so that no cached block is large enough for the next.
TEST(Allocator, CachedBytesAreBounded) {
  release_cached();
  const int64_t before = memory_use().live;
  for (int64_t megabytes = 16; megabytes <= 256; megabytes += 4) {
    const auto block = allocate(megabytes << 20);
    EXPECT_LE(memory_use().cached + memory_use().live - before, (megabytes << 20) * 5 / 4) << megabytes;
  }
  EXPECT_LE(memory_use().cached, (256 << 20) * 5 / 4);
  release_cached();
}

TEST(Allocator, ASlightlyLargerBlockServes) {
  release_cached();
  const int64_t before = memory_use().live;
  const void* larger = allocate(5 << 20).get();
  {
    const auto block = allocate(4 << 20);
    EXPECT_EQ(block.get(), larger);
    EXPECT_EQ(memory_use().live - before, 4 << 20);
    EXPECT_EQ(memory_use().cached, 1 << 20);
  }
  EXPECT_NE(allocate(3 << 20).get(), larger);
}

// Ends the process, with 7 if memory ran out where it had to.
void fill_700_megabytes() {
  release_cached();
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = address_space() + (700 << 20);
  setrlimit(RLIMIT_AS, &limit);
  { const auto a = allocate(200 << 20), b = allocate(200 << 20), c = allocate(200 << 20); }
  const auto block = allocate(600 << 20);  // fits where a, b and c were
  try {
    const auto more = allocate(300 << 20);
  } catch (const RunError& error) {
    fmt::print(stderr, "{}", error.what());
    std::exit(7);
  }
  std::exit(0);
}

// What was cached goes back to the system before it is said that there is no more.
TEST(Allocator, CachedMemoryServesAnySize) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need the address space that this test takes away";
#endif
  EXPECT_EXIT(fill_700_megabytes(), testing::ExitedWithCode(7),
              "out of memory: 335.5 MB wanted while tensors hold 671.1 MB");
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
