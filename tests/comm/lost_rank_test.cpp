#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/comm/on_ranks.h"

// Ways to lose a process while others wait for it. They run under mpirun alone, where tests/CMakeLists.txt looks for
// the message that says which one was lost.
namespace baton {
namespace {

using std::chrono::milliseconds;

void lose_rank_1(const std::function<void()>& how) {
  test::on_ranks(3, [&](Group& world) {
    for (int64_t step = 0;; ++step) {
      world.set_step(step);
      double value = 1;
      world.all_reduce(values(std::span(&value, 1))).wait();
      std::this_thread::sleep_for(milliseconds(100));
      if (step != 7) continue;
      if (world.rank() == 1) how();
      alarm(10);  // ends the others without a word if they have not stopped by then
    }
  });
}

TEST(LostRank, DISABLED_Killed) {
  lose_rank_1([] { std::raise(SIGKILL); });
}

TEST(LostRank, DISABLED_Stopped) {
  lose_rank_1([] { std::raise(SIGSTOP); });
}

TEST(LostRank, DISABLED_Hanging) {
  lose_rank_1([] {
    for (;;) std::this_thread::sleep_for(milliseconds(100));
  });
}

}  // namespace
}  // namespace baton
