#pragma once

#include <atomic>
#include <string>

#include "engine/config/parallel_config.h"
#include "engine/config/visitor.h"
#include "engine/core/dtype.h"
#include "engine/core/progress.h"

namespace baton {

// How to run, whatever is run: the flags that every working subcommand has.
struct RuntimeConfig {
  std::string device = "cpu";
  std::string dtype = "auto";
  int64_t threads = 0;
  std::string progress = "auto";
  ParallelConfig parallel;
};
void visit(ConfigVisitor& v, RuntimeConfig& config);
// Those of its fields that training has too, whose config says the rest.
void visit_process(ConfigVisitor& v, RuntimeConfig& config);

struct Runtime {
  DType compute;  // f32 or bf16: what GEMMs multiply
  int threads;    // CPU threads of all ranks together
  ProgressMode progress;
  const std::atomic<bool>& stop;  // set by Ctrl-C: finish what is at hand, save, return
  ParallelConfig parallel = {};   // of all but training, whose config says it
};

// Lets this process compute on so many CPU threads and returns how many those are. 0: as many as OMP_NUM_THREADS says,
// else one for each core that the process may use, of which the ranks of one host that mpirun did not bind share all.
int use_threads(int64_t given = 0);

// Checks the config against this machine, sets the number of threads. InputError for what the machine cannot do.
Runtime start_runtime(const RuntimeConfig& config, const std::atomic<bool>& stop);

// Exit codes of every subcommand.
constexpr int exit_done = 0, exit_failed = 1, exit_bad_input = 2, exit_interrupted = 130;

}  // namespace baton
