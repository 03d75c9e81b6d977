#include "engine/core/parallel.h"

#include <atomic>
#include <exception>

namespace baton {

void for_each_in_parallel(int64_t count, const std::function<void(int64_t)>& body) {
  std::atomic<bool> failed = false;
  std::exception_ptr first;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; ++i) {
    if (failed) continue;
    try {
      body(i);
    } catch (...) {
      if (!failed.exchange(true)) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace baton
