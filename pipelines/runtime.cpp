#include "pipelines/runtime.h"

#include "engine/core/error.h"
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

}  // namespace

void visit(ConfigVisitor& v, RuntimeConfig& c) {
  v("device", c.device, "cpu");
  v("dtype", c.dtype, "auto, f32 or bf16; auto is the fastest that this machine multiplies in hardware");
  v("threads", c.threads, "CPU threads (default: one for each core)", {0, 4096});
  v("progress", c.progress, "auto, bar, json or none; on stderr");
  visit(v, c.parallel);
}

Runtime start_runtime(const RuntimeConfig& config, const std::atomic<bool>& stop) {
  check(config.device == "cpu" || config.device == "auto", "device '{}': this build runs on cpu", config.device);
  kernels::cpu::set_threads(static_cast<int>(config.threads));
  return {choose_dtype(config.dtype), kernels::cpu::machine().threads, parse_progress_mode(config.progress), stop,
          config.parallel};
}

}  // namespace baton
