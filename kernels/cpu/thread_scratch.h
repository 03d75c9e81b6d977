#pragma once

#include <omp.h>

#include <cstdint>
#include <memory>

namespace baton::kernels::cpu {

// Uninitialised floats for each thread of a parallel_for, allocated before it: an exception inside would end the
// process.
class ThreadScratch {
 public:
  explicit ThreadScratch(int64_t floats)
      : stride_((floats + line - 1) / line * line),
        memory_(std::make_unique_for_overwrite<float[]>(stride_ * omp_get_max_threads())) {}
  float* of(int thread) const { return memory_.get() + thread * stride_; }

 private:
  static constexpr int64_t line = 16;  // of the cache: threads do not write to each other's
  int64_t stride_;
  std::unique_ptr<float[]> memory_;
};

}  // namespace baton::kernels::cpu
