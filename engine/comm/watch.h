#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "engine/comm/group.h"
#include "engine/comm/signs_of_life.h"

namespace baton {

// Notices when a process of several dies or hangs: MPI would let the others wait for ever, or end them without a word.
// The first rank hears signs of life of all others over sockets of their own, ten times a second. When one is lost it
// says which and in which step, once, and every process exits with code 1.
class Watch {
 public:
  // Collective. A process without a sign of life for twice `patience` seconds counts as lost.
  Watch(Group& world, double patience);
  // Stops watching and being watched; not collective.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // What this process says of itself.
  struct Life {
    std::atomic<int64_t> beats = 0, waits = 0, step = -1;
    std::atomic<bool> waiting = false;
  };
  Life& life();

 private:
  class Side;
  class First;
  class Other;
  std::unique_ptr<Side> side_;
};

}  // namespace baton
