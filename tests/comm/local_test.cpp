#include "engine/comm/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "engine/core/require.h"
#include "engine/tensor/tensor.h"

namespace baton {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

void use(Group& group) {
  std::vector<float> x(4, 1.0f);
  group.all_reduce(values(std::span(x))).wait();
}

TEST(RunRanks, AnErrorOfOneEndsAll) {
  const auto run = [] {
    run_ranks(3, {}, [](Group& world) {
      world.set_step(7);
      use(world);
      if (world.rank() == 1) fail_run("disk full");
      use(world);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<RunError>(HasSubstr("disk full")));
}

TEST(RunRanks, TheOthersAreToldWhoStopped) {
  std::string told;
  const auto run = [&] {
    run_ranks(2, {}, [&](Group& world) {
      world.set_step(7);
      if (world.rank() == 1) fail("bad picture");
      try {
        use(world);
      } catch (const RunError& error) {
        told = error.what();
      }
    });
  };
  EXPECT_THROW(run(), InputError);
  EXPECT_EQ(told, "rank 1 in step 7 stopped: bad picture");
}

TEST(RunRanks, AnErrorLeavesTheBuffersOfACollectiveUnderWay) {
  constexpr int64_t large = int64_t{1} << 25;  // so that rank 1 copies for longer than rank 2 sleeps
  const auto run = [] {
    run_ranks(3, {}, [](Group& world) {
      std::vector<float> x(world.rank() < 2 ? large : 1);
      const auto pair = world.split(world.rank() / 2, "pair");
      world.barrier();
      if (world.rank() == 2) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        fail_run("disk full");
      }
      pair->broadcast(values(std::span(x)), 0).wait();
    });
  };
  EXPECT_THAT(run, ThrowsMessage<RunError>(HasSubstr("disk full")));
}

TEST(RunRanks, AnErrorInsideACollectiveLeavesNobodyWaiting) {
  const auto run = [] {
    run_ranks(3, {}, [](Group& world) {
      std::vector<uint8_t> x(8);
      world.all_reduce({x.data(), std::ssize(x), DType::u8}).wait();
    });
  };
  EXPECT_THAT(run, ThrowsMessage<LogicError>(HasSubstr("u8 values cannot be added")));
}

TEST(RunRanks, AHangingRankIsNamed) {
  const auto release = std::make_shared<std::atomic<bool>>(false);
  const auto start = std::chrono::steady_clock::now();
  const auto run = [&] {
    run_ranks(3, {.patience = 0.2}, [release](Group& world) {
      world.set_step(12);
      use(world);
      if (world.rank() == 2)
        while (!*release) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      else
        use(world);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<LostRank>("rank 2 in step 12 hangs"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  *release = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

TEST(RunRanks, AWorkingRankIsWaitedFor) {
  run_ranks(2, {.patience = 0.1}, [](Group& world) {
    if (world.rank() == 1)
      for (int i = 0; i < 40; ++i) {
        Tensor::empty({1});  // as every op does
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    use(world);
  });
}

TEST(RunRanks, ARankThatEndsEarlyIsNamed) {
  const auto run = [] {
    run_ranks(2, {.patience = 0.1}, [](Group& world) {
      if (world.rank() == 0) use(world);
    });
  };
  EXPECT_THAT(run, ThrowsMessage<RunError>("rank 1 ended while others wait for it"));
}

TEST(RunRanks, RanksThatWaitForEachOtherAreFound) {
  const auto run = [] {
    run_ranks(2, {.patience = 0.1}, [](Group& world) {
      float x = 0;
      world.receive(values(std::span(&x, 1)), 1 - world.rank()).wait();
    });
  };
  EXPECT_THAT(run, ThrowsMessage<RunError>(HasSubstr("all ranks wait for each other")));
}

TEST(RunRanks, CallsThatDoNotFitAreRefused) {
  const auto run = [] {
    run_ranks(2, {}, [](Group& world) {
      std::vector<float> x(3 + world.rank());
      world.all_reduce(values(std::span(x))).wait();
    });
  };
  EXPECT_THAT(run,
              ThrowsMessage<RunError>(HasSubstr("rank 0 calls all-reduce of 3 values, rank 1 calls all-reduce of 4")));
}

}  // namespace
}  // namespace baton
