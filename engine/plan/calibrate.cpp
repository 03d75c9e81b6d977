#include "engine/plan/calibrate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "engine/tensor/tensor.h"
#include "kernels/convert.h"
#include "kernels/gemm.h"
#include "kernels/machine.h"

namespace baton {
namespace {

// The fastest of some runs, in about a third of a second.
template <typename Work>
double seconds_of(const Work& work) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::duration<double> enough(0.3);
  work();
  double best = 1e30;
  for (const auto start = Clock::now(); Clock::now() - start < enough;) {
    const auto before = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - before).count());
  }
  return best;
}

double gemm_seconds(int64_t size, DType dtype) {
  const Tensor a = Tensor::zeros({size, size}, dtype), b = Tensor::zeros({size, size}, dtype);
  const Tensor c = Tensor::empty({size, size}, dtype);
  return seconds_of([&] { kernels::cpu::gemm({.a = a.view(), .b = b.view(), .c = c.view()}); });
}

// seconds per FLOP = (1 + h 3 / n) / rate for cubes of size n: a straight line in 3 / n.
struct GemmFit {
  double rate, half_size;
};

GemmFit fit_gemm(DType dtype) {
  double count = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const int64_t size : {192, 384, 768, 1536}) {
    const auto n = static_cast<double>(size);
    const double per_flop = gemm_seconds(size, dtype) / (2 * n * n * n);
    count += 1;
    x += 3 / n;
    y += per_flop;
    xx += 9 / (n * n);
    xy += 3 / n * per_flop;
  }
  const double slope = std::max(0.0, (count * xy - x * y) / (count * xx - x * x));
  const double base = (y - slope * x) / count;
  return {1 / base, slope / base};
}

double copy_bytes_per_second() {
  const Tensor from = Tensor::zeros({64 << 20}), to = Tensor::zeros({64 << 20});  // far beyond the caches
  const double seconds = seconds_of([&] { kernels::cpu::copy({from.view(), to.view()}); });
  return 2 * static_cast<double>(from.bytes()) / seconds;  // read and written
}

}  // namespace

Machine measure_machine(int64_t ranks) {
  const auto share = static_cast<double>(ranks);
  const GemmFit f32 = fit_gemm(DType::f32), bf16 = fit_gemm(DType::bf16);
  const kernels::Machine cpu = kernels::cpu::machine();
  Machine m{.name = cpu.processor, .devices = ranks};
  m.memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE)) / share;
  m.matrix_16bit = bf16.rate / share;
  m.matrix_f32 = f32.rate / share;
  m.gemm_half_size = cpu.bf16 ? bf16.half_size : f32.half_size;
  m.bandwidth = copy_bytes_per_second() / share;
  m.launch = gemm_seconds(16, DType::f32);
  m.inside = {.bandwidth = m.bandwidth / 2, .latency = 20e-6};  // a message is a copy; a thread wakes another
  return m;
}

}  // namespace baton
