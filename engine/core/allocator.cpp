#include "engine/core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>

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

// A cached block may serve a request that is smaller by this, and all memory together may exceed the highest `live` so
// far by this.
int64_t and_a_quarter(int64_t bytes) { return bytes + bytes / 4; }

struct Block {
  void* memory;
  int64_t size;
};

// Large blocks are pages of their own: malloc would keep what is given back as a hole between others. Null if the
// system has no more.
constexpr int64_t large = 1 << 20;
void* obtain(int64_t size) {
  if (size < large) return std::aligned_alloc(alignment, size);
  void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}
void discard(const Block& block) {
  if (block.size < large)
    std::free(block.memory);
  else
    munmap(block.memory, block.size);
}
using Blocks = std::list<Block>;
using BySize = std::multimap<int64_t, Blocks::iterator>;

class Pool;

// A block in use. It keeps its places in both orders of the pool, so that giving it back allocates nothing and cannot
// fail.
class Lease {
 public:
  Lease(Pool& pool, int64_t size);
  ~Lease();
  void* memory() const { return block_.front().memory; }

 private:
  friend class Pool;
  Pool& pool_;
  const int64_t size_;  // at most that of the block
  Blocks block_;        // one
  BySize::node_type place_;
};

class Pool {
 public:
  // The smallest cached block that does; of equal ones the last used. False if there is none.
  bool reuse(Lease& lease) {
    const std::lock_guard lock(mutex_);
    auto found = by_size_.lower_bound(lease.size_);
    if (found == by_size_.end() || found->first > and_a_quarter(lease.size_)) return false;
    found = std::prev(by_size_.upper_bound(found->first));
    lease.block_.splice(lease.block_.end(), cached_, found->second);
    lease.place_ = by_size_.extract(found);
    use_.cached -= lease.size_;
    count(lease.size_);
    return true;
  }

  // A block of the system's. What has been cached longest makes way for it.
  void fill(Lease& lease) {
    const int64_t size = lease.size_;
    std::unique_lock lock(mutex_);
    release(and_a_quarter(std::max(highest_, use_.live + size)) - use_.live - size);
    void* memory = obtain(size);
    if (!memory) {
      release(0);
      memory = obtain(size);
    }
    const int64_t live = use_.live;
    if (memory) count(size);
    lock.unlock();  // messages need memory too, and the handler of a failing `new` comes here for it
    if (!memory)
      fail_run("out of memory: {:.1f} MB wanted while tensors hold {:.1f} MB; nothing is cached any more",
               static_cast<double>(size) / 1e6, static_cast<double>(live) / 1e6);
    lease.block_.front().memory = memory;
  }

  void give(Lease& lease) noexcept {
    const std::lock_guard lock(mutex_);
    cached_.splice(cached_.end(), lease.block_);
    by_size_.insert(std::move(lease.place_));
    use_.live -= lease.size_;
    use_.cached += lease.size_;
  }

  int64_t release_all() noexcept {
    const std::lock_guard lock(mutex_);
    const int64_t before = use_.cached;
    release(0);
    return before - use_.cached;
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.live;
  }

 private:
  void count(int64_t taken) {
    use_.live += taken;
    use_.peak = std::max(use_.peak, use_.live);
    highest_ = std::max(highest_, use_.live);
  }

  // Gives the oldest back to the system until at most `kept` bytes are cached, if that can be.
  void release(int64_t kept) {
    while (use_.cached > kept && !cached_.empty()) {
      const Block oldest = cached_.front();
      by_size_.erase(by_size_.lower_bound(oldest.size));  // the first of its size is the oldest of them
      cached_.pop_front();
      use_.cached -= oldest.size;
      discard(oldest);
    }
  }

  std::mutex mutex_;
  Blocks cached_;   // the oldest first
  BySize by_size_;  // the same
  MemoryUse use_{};
  int64_t highest_ = 0;  // `live`
};

Lease::Lease(Pool& pool, int64_t size) : pool_(pool), size_(size) {
  if (pool.reuse(*this)) return;
  block_.push_back({nullptr, size});
  BySize one;
  place_ = one.extract(one.emplace(size, block_.begin()));
  pool.fill(*this);
}

Lease::~Lease() { pool_.give(*this); }

Pool& pool() {
  static Pool* instance =
      new Pool;  // never destroyed: tensors with static lifetime may outlive any order of destruction
  return *instance;
}

}  // namespace

std::shared_ptr<void> allocate(int64_t bytes) {
  beat();
  const auto lease = std::make_shared<Lease>(pool(), round_up(std::max<int64_t>(bytes, 1)));
  return {lease, lease->memory()};
}

MemoryUse memory_use() { return pool().use(); }

void reset_peak() { pool().reset_peak(); }

int64_t release_cached() noexcept { return pool().release_all(); }

}  // namespace baton
