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

constexpr int64_t most_threads = 4096;

// Of a list, which is for nested loops, the first; 0 if there is no number, of which OpenMP itself warns.
int64_t threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  return text ? std::clamp<int64_t>(std::strtol(text, nullptr, 10), 0, most_threads) : 0;
}

}  // namespace

int use_threads(int64_t given) {
  if (given == 0) given = threads_of_environment();
  kernels::cpu::set_threads(static_cast<int>(given));
  const int mine = kernels::cpu::machine().threads;
  // mpirun may have bound each rank to cores of its own, or let all ranks of the host use all.
  const char* ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");  // of this host
  if (given > 0 || !ranks) return mine;
  const ThreadBudget host = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int threads = std::min(mine, host.share(std::max(1, std::atoi(ranks))).threads());
  kernels::cpu::set_threads(threads);
  return threads;
}

void visit(ConfigVisitor& v, RuntimeConfig& c) {
  v("device", c.device, "cpu");
  v("dtype", c.dtype, "auto, f32 or bf16; auto is the fastest that this machine multiplies in hardware");
  visit_process(v, c);
  visit(v, c.parallel);
}

void visit_process(ConfigVisitor& v, RuntimeConfig& c) {
  v("threads", c.threads, "CPU threads (default: OMP_NUM_THREADS, else one for each core that this process may use)",
    {0, most_threads});
  v("progress", c.progress, "auto, bar, json or none; on stderr");
}

Runtime start_runtime(const RuntimeConfig& config, const std::atomic<bool>& stop) {
  check(config.device == "cpu" || config.device == "auto", "device '{}': this build runs on cpu", config.device);
  const int threads = use_threads(config.threads);
  return {choose_dtype(config.dtype), threads, parse_progress_mode(config.progress), stop, config.parallel};
}

}  // namespace baton
