#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace baton::kernels::cpu {

// Splits [0, count) into one contiguous range a thread and calls body(begin, end, thread). `cost` is a rough number of
// element operations per item: little work stays on the calling thread. The split depends on the thread count alone,
// which may be less than asked for (OMP_THREAD_LIMIT, OMP_DYNAMIC).
template <typename Body>
void parallel_for(int64_t count, int64_t cost, const Body& body) {
  constexpr int64_t worth_waking = 1 << 14;
  const int64_t wanted = std::max<int64_t>(1, count * std::max<int64_t>(cost, 1) / worth_waking);
  const int threads = static_cast<int>(std::min({wanted, count, static_cast<int64_t>(omp_get_max_threads())}));
  if (threads <= 1 || omp_in_parallel()) {
    if (count > 0) body(int64_t{0}, count, 0);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    const int64_t begin = count * thread / team, end = count * (thread + 1) / team;
    if (begin < end) body(begin, end, static_cast<int>(thread));
  }
}

}  // namespace baton::kernels::cpu
