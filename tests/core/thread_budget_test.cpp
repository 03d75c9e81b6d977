#include "engine/core/thread_budget.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "kernels/machine.h"

namespace baton {
namespace {

int threads_of_kernels() { return kernels::cpu::machine().threads; }

TEST(ThreadBudget, HoldsOnTheThreadThatIsBoundToIt) {
  const int before = threads_of_kernels();
  EXPECT_EQ(std::async(std::launch::async, ThreadBudget(3).bound(threads_of_kernels)).get(), 3);
  int seen = 0;
  std::thread(ThreadBudget(5).bound([&] { seen = threads_of_kernels(); })).join();
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(threads_of_kernels(), before) << "the starting thread keeps its own";
}

TEST(ThreadBudget, IsSharedButNeverEmpty) {
  EXPECT_EQ(ThreadBudget(8).share(3).threads(), 2);
  EXPECT_EQ(ThreadBudget(2).share(3).threads(), 1);
  EXPECT_EQ(ThreadBudget(0).threads(), 1);
}

}  // namespace
}  // namespace baton
