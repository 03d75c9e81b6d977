#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

// Sums over many rows are cut into chunks that different threads may do. How they are cut depends on the shape alone,
// and the chunks are added in order: the result has the same bits for any number of threads.
namespace baton::kernels::cpu {

struct Chunks {
  int64_t count, size;  // `count` chunks of `size` items, the last one may be shorter

  Chunks(int64_t items, int64_t elements_per_item) {
    constexpr int64_t enough_elements = 1 << 15, most = 64;
    const int64_t wanted = std::clamp<int64_t>(items * elements_per_item / enough_elements, 1, most);
    size = std::max<int64_t>(1, (items + wanted - 1) / wanted);
    count = std::max<int64_t>(1, (items + size - 1) / size);
  }
};

// For each of `groups` results of n values: a buffer for each chunk. A null result means that nobody wants it.
class PartialSums {
 public:
  PartialSums(int64_t groups, int64_t chunks, int64_t n, float* result)
      : groups_(groups), chunks_(chunks), n_(n), result_(result) {
    if (result && chunks > 1) memory_.resize(groups * (chunks - 1) * n);
  }
  // The buffer of one chunk, zeroed; null without a result.
  float* zeroed(int64_t group, int64_t chunk) {
    if (!result_) return nullptr;
    float* p = chunk == 0 ? result_ + group * n_ : memory_.data() + (group * (chunks_ - 1) + chunk - 1) * n_;
    std::fill_n(p, n_, 0.0f);
    return p;
  }
  // Adds the chunks up, once every one of them is filled.
  void finish() {
    if (!result_) return;
    for (int64_t group = 0; group < groups_; ++group)
      for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
        const float* from = memory_.data() + (group * (chunks_ - 1) + chunk - 1) * n_;
        for (int64_t i = 0; i < n_; ++i) result_[group * n_ + i] += from[i];
      }
  }

 private:
  int64_t groups_, chunks_, n_;
  float* result_;
  std::vector<float> memory_;
};

}  // namespace baton::kernels::cpu
