#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace baton {

// What one can see of a rank from outside.
struct SignsOfLife {
  int64_t beats = 0, waits = 0;  // so far: engine/core/heartbeat.h; waits for others that have ended
  int64_t step = -1;             // of the work at hand; -1: not said
  bool waiting = false;          // for other ranks
  bool ended = false;            // it does nothing any more
  bool operator==(const SignsOfLife&) const = default;
};

std::string describe_rank(int rank, int64_t step);  // "rank 2 in step 17"

// Two looks at the same ranks, some seconds apart: which one the others wait for in vain. Empty if all is well.
std::string find_trouble(std::span<const SignsOfLife> before, std::span<const SignsOfLife> now);

}  // namespace baton
