#pragma once

#include <string>

namespace baton::kernels {

// What the CPU kernels found on this computer.
struct Machine {
  std::string processor;  // as the system names it
  std::string simd;       // instruction set of our own kernels: "AVX3", "AVX2", …
  std::string gemm;       // instruction set that oneDNN uses: "avx512_core_bf16", "avx2", …
  bool bf16;              // GEMM multiplies bf16 in hardware
  int threads;
};

namespace cpu {
Machine machine();
void set_threads(int threads);  // for all kernels; 0: one for each processor core that this process may use
}  // namespace cpu

}  // namespace baton::kernels
