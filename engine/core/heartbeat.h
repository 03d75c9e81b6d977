#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

// A sign of life: whoever waits for this thread can tell whether it works or hangs. Every allocation beats, and so
// every op does.
namespace baton {

inline thread_local std::atomic<int64_t>* heartbeat = nullptr;

inline void beat() {
  if (heartbeat) heartbeat->fetch_add(1, std::memory_order_relaxed);
}

// While it lives this thread counts as alive as long as the system works for it, so when it does not hang between the
// calls, but for no more than five minutes: for calls that others cannot see the progress of, as when many ranks flush
// large files to one slow disk.
class SlowCall {
 public:
  SlowCall();

 private:
  std::jthread beating_;
};

}  // namespace baton
