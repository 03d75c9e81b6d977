#pragma once

#include <atomic>
#include <cstdint>

// A sign of life: whoever waits for this thread can tell whether it works or hangs. Every allocation beats, and so every
// op does.
namespace baton {

inline thread_local std::atomic<int64_t>* heartbeat = nullptr;

inline void beat() {
  if (heartbeat) heartbeat->fetch_add(1, std::memory_order_relaxed);
}

}  // namespace baton
