#pragma once

#include "engine/comm/group.h"
#include "engine/core/error.h"

namespace baton {

struct LocalOptions {
  int threads = 1;      // CPU threads of each rank's kernels
  double patience = 6;  // a rank without a sign of life for as many seconds counts as lost
};

// A rank hangs, and with it a thread of this process, which can only be ended together with the process. It may go on
// to use all that the body refers to: end the process where this is caught, before any of that is gone.
struct LostRank : RunError {
  using RunError::RunError;
};

// Runs body(world) on `ranks` threads of this process, each with its own world group, and returns when all are done.
// When one throws, the others throw RunError in the collective that they wait in, and the first error is thrown here.
// Throws LostRank, naming rank and step, when one hangs. One rank runs in the calling thread, with its own threads.
void run_ranks(int ranks, const LocalOptions& options, const std::function<void(Group& world)>& body);

}  // namespace baton
