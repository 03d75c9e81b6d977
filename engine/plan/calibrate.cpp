#include "engine/plan/calibrate.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "engine/tensor/tensor.h"
#include "kernels/convert.h"
#include "kernels/gemm.h"
#include "kernels/machine.h"

namespace baton {
namespace {

// The fastest of some runs, in about a fifth of a second.
template <typename Work>
double seconds_of(const Work& work) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::duration<double> enough(0.2);
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

// The rate of a cube of size n is rate / (1 + h 3 / n); h from how much slower than the largest the others are.
struct GemmFit {
  double rate, half_size;
};

GemmFit fit_gemm(DType dtype) {
  const auto rate_of = [dtype](int64_t size) {
    const auto n = static_cast<double>(size);
    return 2 * n * n * n / gemm_seconds(size, dtype);
  };
  constexpr int64_t largest = 1536;
  constexpr std::array<int64_t, 3> sizes{128, 256, 512};
  const double best = rate_of(largest);
  double half_size = 0;
  for (const int64_t size : sizes)
    half_size += std::max(0.0, (best / rate_of(size) - 1) * static_cast<double>(size) / 3) / sizes.size();
  return {best * (1 + half_size * 3 / largest), half_size};
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
