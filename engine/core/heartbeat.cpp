#include "engine/core/heartbeat.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>

namespace baton {
namespace {

// The thread that makes a slow call, as another thread of the process sees it.
class Observed {
 public:
  // Whether the system works for it: it has since it was asked last (also for MPI, which waits by looking again after
  // short sleeps), or the thread is in a call that does something, not one that only sleeps.
  bool works() {
    const int64_t before = std::exchange(system_time_, system_time());
    return system_time_ != before || in_a_call();
  }

 private:
  // In ticks of the system; 0 if it does not say.
  int64_t system_time() const {
    std::string stat;
    std::getline(std::ifstream(folder_ + "stat"), stat);
    int64_t ticks = 0;  // the 13th field behind the thread's name, which is in brackets
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string field;
    for (int i = 0; i < 12; ++i) fields >> field;
    fields >> ticks;
    return ticks;
  }

  bool in_a_call() const {
    std::ifstream file(folder_ + "syscall");
    int64_t call = -1;
    if (!(file >> call)) return !file.is_open();  // "running": it computes, which is no slow call
    constexpr int64_t sleeping[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_rt_sigsuspend,
#ifdef SYS_pause
                                    SYS_pause
#endif
    };
    return std::ranges::find(sleeping, call) == std::end(sleeping);
  }

  std::string folder_ = "/proc/self/task/" + std::to_string(gettid()) + "/";
  int64_t system_time_ = 0;
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
