#include "engine/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace baton {
namespace {

TEST(Parallel, EachIndexOnce) {
  std::vector<std::atomic<int>> calls(1000);
  for_each_in_parallel(1000, [&](int64_t i) { ++calls[i]; });
  for (const auto& n : calls) EXPECT_EQ(n, 1);
}

TEST(Parallel, ExceptionsComeOut) {
  for (int round = 0; round < 100; ++round)
    EXPECT_THROW(for_each_in_parallel(1000,
                                      [&](int64_t i) {
                                        if (i % 7 == 3) throw std::out_of_range("7");
                                      }),
                 std::out_of_range);
}

}  // namespace
}  // namespace baton
