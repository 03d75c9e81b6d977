#include "engine/core/heartbeat.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>
#include <utility>

namespace baton {
namespace {

// The thread that makes a slow call, as another thread of the process sees it.
class Observed {
 public:
  Observed() : thread_(gettid()) { pthread_getcpuclockid(pthread_self(), &clock_); }

  // It has used the CPU since it was asked last (5 ms at least: MPI waits by looking again after short sleeps), or is
  // in a call of the system that does something, not one that only sleeps.
  bool works() {
    timespec now{};
    clock_gettime(clock_, &now);
    const int64_t used = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
    const bool computes = used - std::exchange(used_, used) >= 5;
    return computes || !sleeps();
  }

 private:
  bool sleeps() const {
    std::ifstream file("/proc/self/task/" + std::to_string(thread_) + "/syscall");
    int64_t call = -1;
    if (!(file >> call)) return false;  // "running", or Linux does not say
    constexpr int64_t sleeping[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_rt_sigsuspend,
#ifdef SYS_pause
                                    SYS_pause
#endif
    };
    return std::ranges::find(sleeping, call) != std::end(sleeping);
  }

  pid_t thread_;
  clockid_t clock_{};
  int64_t used_ = 0;  // milliseconds
};

}  // namespace

SlowCall::SlowCall() {
  if (!heartbeat) return;
  beating_ = std::jthread([beats = heartbeat, thread = Observed()](const std::stop_token& over) mutable {
    constexpr int longest = 300;  // seconds
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    for (int second = 0; second < longest && !over.stop_requested(); ++second) {
      if (second == 0 || thread.works()) beats->fetch_add(1, std::memory_order_relaxed);
      ended.wait_for(lock, over, std::chrono::seconds(1), [] { return false; });
    }
  });
}

}  // namespace baton
