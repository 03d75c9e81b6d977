#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/comm/rendezvous.h"

namespace baton {

// Notices when a process of several dies, stops or hangs: MPI would let the others wait for ever, or end them without a
// word. Each process has a thread for it, which outlasts a main thread that hangs. The first rank's hears the others
// and is heard by them, over sockets of their own, ten times a second; it judges them all by their signs of life
// (engine/comm/signs_of_life.h), and they judge it. Whoever finds a rank lost says once which and in which step, and
// every process exits with code 1.
class Watch {
 public:
  // A process without a sign of life for `patience` seconds counts as lost, also one that does not come at the start.
  explicit Watch(Rendezvous& meeting, double patience = 6);
  // Stops watching and being watched; not collective.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Ends all processes with this code.
  [[noreturn]] void end_all(int code);

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
