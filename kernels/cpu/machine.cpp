#include "kernels/machine.h"

#include <hwy/targets.h>
#include <omp.h>

#include <algorithm>
#include <fstream>

#include "kernels/cpu/cpu_quota.h"
#include "kernels/cpu/onednn.h"

namespace baton::kernels::cpu {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string isa_name(dnnl::cpu_isa isa) {
  switch (isa) {
    case dnnl::cpu_isa::sse41:
      return "sse4.1";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "generic";
  }
}

// ONEDNN_MAX_CPU_ISA limits our own kernels too: a newer processor then works, and is measured, as one with AVX2.
// Highway numbers better targets lower.
const bool limited = [] {
  if (!onednn::has_avx512()) hwy::DisableTargets(HWY_AVX2 - 1);
  return true;
}();

}  // namespace

Machine machine() {
  const int64_t best = hwy::SupportedTargets() & -hwy::SupportedTargets();
  return {processor_name(), hwy::TargetName(best), isa_name(dnnl::get_effective_cpu_isa()), onednn::has_bf16(),
          omp_get_max_threads()};
}

void set_threads(int threads) {
  const int cores = omp_get_num_procs();  // those that the affinity of this process leaves
  const int wanted = threads > 0 ? threads : std::min(cores, cpu_quota().value_or(cores));
  // oneDNN cuts its work by the number that it asks for, and what OMP_DYNAMIC or OMP_THREAD_LIMIT withhold is not done.
  omp_set_dynamic(0);
  omp_set_num_threads(std::min(wanted, omp_get_thread_limit()));
}

}  // namespace baton::kernels::cpu
