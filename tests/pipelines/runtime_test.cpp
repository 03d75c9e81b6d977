#include "pipelines/runtime.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "kernels/machine.h"

namespace baton {
namespace {

// The number of threads is the process's: it gets its own back.
class Threads : public testing::Test {
 protected:
  Threads() : before_(kernels::cpu::machine().threads) {
    if (const char* said = std::getenv("OMP_NUM_THREADS")) said_ = said;
    unsetenv("OMP_NUM_THREADS");
    default_ = started(0);
  }
  ~Threads() override {
    unsetenv("OMP_NUM_THREADS"), unsetenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    if (said_) setenv("OMP_NUM_THREADS", said_->c_str(), 1);
    kernels::cpu::set_threads(before_);
  }

  // With --threads; what is told and what the kernels use is the same.
  int started(int64_t given) const {
    const std::atomic<bool> stop = false;
    RuntimeConfig config;
    config.threads = given;
    const int threads = start_runtime(config, stop).threads;
    EXPECT_EQ(kernels::cpu::machine().threads, threads);
    return threads;
  }
  int started_where(const char* environment, int64_t given = 0) const {
    setenv("OMP_NUM_THREADS", environment, 1);
    return started(given);
  }

  int default_;

 private:
  int before_;
  std::optional<std::string> said_;
};

TEST_F(Threads, AreThoseGivenThenThoseOfOpenMPsVariable) {
  const int other = default_ + 3;
  EXPECT_EQ(started_where(std::to_string(other).c_str()), other);
  EXPECT_EQ(started_where("1"), 1);
  EXPECT_EQ(started_where("3,2"), 3) << "loops in loops are others";
  EXPECT_EQ(started_where("1", other), other);
}

TEST_F(Threads, AreTheCoresWhereTheVariableSaysNothing) {
  for (const char* nothing : {"", "0", "-2", "many"}) EXPECT_EQ(started_where(nothing), default_) << nothing;
  EXPECT_EQ(started_where("99999999999999999999"), 4096);
}

TEST_F(Threads, OfTheVariableAreForEachProcess) {
  setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "1000", 1);
  EXPECT_EQ(started(0), 1);
  EXPECT_EQ(started_where("3"), 3);
}

}  // namespace
}  // namespace baton
