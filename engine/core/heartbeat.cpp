#include "engine/core/heartbeat.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace baton {

SlowCall::SlowCall() {
  if (!heartbeat) return;
  beating_ = std::jthread([beats = heartbeat](const std::stop_token& over) {
    constexpr int longest = 300;  // seconds
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    for (int second = 0; second < longest && !over.stop_requested(); ++second) {
      beats->fetch_add(1, std::memory_order_relaxed);
      ended.wait_for(lock, over, std::chrono::seconds(1), [] { return false; });
    }
  });
}

}  // namespace baton
