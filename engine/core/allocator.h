#pragma once

#include <cstdint>
#include <memory>

namespace baton {

// Memory for tensors: 64-byte aligned, recycled by size so that a step costs no page faults after the first. What is in
// use and what is cached for reuse together stay within 1.25 times the most that was ever in use; what has been cached
// longest goes back to the system. Thread-safe. Throws RunError when the system has no more and nothing is cached.
std::shared_ptr<void> allocate(int64_t bytes);

struct MemoryUse {
  int64_t live;    // bytes held by tensors now
  int64_t peak;    // highest `live` since the last reset_peak()
  int64_t cached;  // bytes kept for reuse, and those by which reused blocks are larger than what they hold
};
MemoryUse memory_use();
void reset_peak();
// Gives the cached bytes back to the system; returns how many.
int64_t release_cached() noexcept;

}  // namespace baton
