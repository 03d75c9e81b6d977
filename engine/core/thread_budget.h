#pragma once

#include <algorithm>
#include <utility>

#include "kernels/machine.h"

namespace baton {

// How many CPU threads a piece of work may keep busy. The kernels' number of threads holds for the thread that sets it,
// and a new thread starts with all cores: so whoever starts one binds its body to a budget.
class ThreadBudget {
 public:
  ThreadBudget(int threads) : threads_(std::max(1, threads)) {}
  int threads() const { return threads_; }
  // Of each of `tasks` that work at the same time.
  ThreadBudget share(int tasks) const { return threads_ / tasks; }

  // `body`, for a thread of its own whose kernels keep to this budget.
  template <typename Body>
  auto bound(Body body) const {
    return [threads = threads_, body = std::move(body)]() mutable {
      kernels::cpu::set_threads(threads);
      return body();
    };
  }

 private:
  int threads_;
};

}  // namespace baton
