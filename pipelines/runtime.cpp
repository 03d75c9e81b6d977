#include "pipelines/runtime.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/core/thread_budget.h"
#include "kernels/machine.h"

namespace baton {
namespace {

DType choose_dtype(const std::string& name) {
  if (name == "auto") return kernels::cpu::machine().bf16 ? DType::bf16 : DType::f32;
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  check(name != "f16" && name != "int8",
        "dtype {}: this build computes in f32 and bf16 on the CPU; use auto, f32 or bf16", name);
  fail("dtype '{}', expected auto, f32 or bf16", name);
}

// Unless they are given: the cores of this process. mpirun may have bound each rank to cores of its own, or let all
// ranks of the host use all; then each gets its share.
int choose_threads(int64_t given) {
  kernels::cpu::set_threads(static_cast<int>(given));
  const int mine = kernels::cpu::machine().threads;
  const char* ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");  // of this host
  if (given > 0 || !ranks) return mine;
  const ThreadBudget host = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return std::min(mine, host.share(std::max(1, std::atoi(ranks))).threads());
}

}  // namespace

void visit(ConfigVisitor& v, RuntimeConfig& c) {
  v("device", c.device, "cpu");
  v("dtype", c.dtype, "auto, f32 or bf16; auto is the fastest that this machine multiplies in hardware");
  v("threads", c.threads, "CPU threads (default: one for each core that this process may use)", {0, 4096});
  v("progress", c.progress, "auto, bar, json or none; on stderr");
  visit(v, c.parallel);
}

Runtime start_runtime(const RuntimeConfig& config, const std::atomic<bool>& stop) {
  check(config.device == "cpu" || config.device == "auto", "device '{}': this build runs on cpu", config.device);
  const int threads = choose_threads(config.threads);
  kernels::cpu::set_threads(threads);
  return {choose_dtype(config.dtype), threads, parse_progress_mode(config.progress), stop, config.parallel};
}

}  // namespace baton
