#pragma once

#include <cstdint>
#include <memory>

namespace baton {

// Memory for tensors: 64-byte aligned, recycled by size so that a step costs no page faults after the first.
// Thread-safe. Throws RunError when the system has no more.
std::shared_ptr<void> allocate(int64_t bytes);

struct MemoryUse {
  int64_t live;    // bytes held by tensors now
  int64_t peak;    // highest `live` since the last reset_peak()
  int64_t cached;  // bytes kept for reuse
};
MemoryUse memory_use();
void reset_peak();
// Gives the cached bytes back to the system.
void release_cached();

}  // namespace baton
