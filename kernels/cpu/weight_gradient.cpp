#include "kernels/cpu/weight_gradient.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/thread_scratch.h"

namespace baton::kernels::cpu {
namespace {

constexpr int64_t samples = 128;  // that are copied at a time and stay in the cache

// Part `index` of `count` equal ones of [0, size).
struct Part {
  int64_t begin, size;
  Part(int64_t whole, int64_t index, int64_t count)
      : begin(whole * index / count), size(whole * (index + 1) / count - begin) {}
};

// Columns of some rows of a matrix, copied to rows that are spread.
void copy_columns(const float* matrix, int64_t columns, const Part& part, int64_t rows, float* target) {
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(target + row * onednn::spread_step(part.size), matrix + row * columns + part.begin,
                part.size * sizeof(float));
}

// oneDNN writes the code of its product at the first call, which must not be inside a parallel region.
void write_code() {
  static const bool written = [] {
    onednn::expect_room_for_code();
    float a = 1, b = 1, c = 0;
    return dnnl_sgemm('T', 'N', 1, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1) == dnnl_success;
  }();
  if (!written) throw std::bad_alloc();
}

}  // namespace

void weight_gradient(const float* dy, const float* x, float* dw, int64_t m, int64_t n, int64_t k) {
  // Each thread has a block of dw of its own: rows of it, and columns only where there are more threads than rows for.
  const int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  const int64_t down = std::clamp<int64_t>(n / 32, 1, threads), across = std::clamp<int64_t>(k / 32, 1, threads / down);
  const int64_t wide = onednn::spread_step((n + down - 1) / down),
                wide_x = onednn::spread_step((k + across - 1) / across);
  write_code();
  const ThreadScratch scratch(samples * (wide + wide_x));
  std::atomic<dnnl_status_t> status = dnnl_success;
  parallel_for(down * across, m * n * k / (down * across), [&](int64_t begin, int64_t end, int thread) {
    float* const some_dy = scratch.of(thread);
    float* const some_x = some_dy + samples * wide;
    for (int64_t task = begin; task < end; ++task) {
      const Part rows(n, task / across, down), columns(k, task % across, across);
      for (int64_t first = 0; first < m; first += samples) {
        const int64_t count = std::min(samples, m - first);
        copy_columns(dy + first * n, n, rows, count, some_dy);
        copy_columns(x + first * k, k, columns, count, some_x);
        const auto result =
            dnnl_sgemm('T', 'N', rows.size, columns.size, count, 1, some_dy, onednn::spread_step(rows.size), some_x,
                       onednn::spread_step(columns.size), first > 0 ? 1 : 0, dw + rows.begin * k + columns.begin, k);
        if (result != dnnl_success) status = result;
      }
    }
  });
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  if (status != dnnl_success) throw std::logic_error("weight_gradient: oneDNN refuses the product");
}

}  // namespace baton::kernels::cpu
