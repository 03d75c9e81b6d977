#include "engine/core/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"

namespace baton {
namespace {

constexpr int64_t alignment = 64;

// Sizes are rounded up to eighths of a power of two: at most 12.5 % is lost, and equal layers find each other's blocks.
int64_t round_up(int64_t bytes) {
  const int64_t step =
      std::max<int64_t>(alignment, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8);
  return (bytes + step - 1) / step * step;
}

struct Pool {
  std::mutex mutex;
  std::unordered_map<int64_t, std::vector<void*>> free;
  MemoryUse use{};

  void* take(int64_t size) {
    std::lock_guard lock(mutex);
    void* block = nullptr;
    if (auto& list = free[size]; !list.empty()) {
      block = list.back();
      list.pop_back();
      use.cached -= size;
    } else {
      block = std::aligned_alloc(alignment, size);
      if (!block) fail_run("out of memory: {} bytes asked for while {} are in use", size, use.live);
    }
    use.live += size;
    use.peak = std::max(use.peak, use.live);
    return block;
  }

  void give(void* block, int64_t size) {
    std::lock_guard lock(mutex);
    free[size].push_back(block);
    use.live -= size;
    use.cached += size;
  }

  void release() {
    std::lock_guard lock(mutex);
    for (auto& [size, list] : free)
      for (void* block : list) std::free(block);
    free.clear();
    use.cached = 0;
  }
};

Pool& pool() {
  static Pool* instance =
      new Pool;  // never destroyed: tensors with static lifetime may outlive any order of destruction
  return *instance;
}

}  // namespace

std::shared_ptr<void> allocate(int64_t bytes) {
  beat();
  const int64_t size = round_up(std::max<int64_t>(bytes, 1));
  return {pool().take(size), [size](void* block) { pool().give(block, size); }};
}

MemoryUse memory_use() {
  std::lock_guard lock(pool().mutex);
  return pool().use;
}

void reset_peak() {
  std::lock_guard lock(pool().mutex);
  pool().use.peak = pool().use.live;
}

void release_cached() { pool().release(); }

}  // namespace baton
