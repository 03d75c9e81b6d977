#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/core/thread_budget.h"

namespace baton {

// Makes values `first`, first + 1, … of a sequence on one background thread, up to `ahead` before they are asked for.
// What make() throws comes out of the next() that would have returned the value; the sequence ends there.
template <typename T>
class Prefetcher {
 public:
  using Make = std::function<T(int64_t index)>;

  Prefetcher(Make make, int64_t first, size_t ahead = 2) : make_(std::move(make)), ahead_(ahead) {
    thread_ = std::thread(ThreadBudget(1).bound([this, first] { run(first); }));
  }
  ~Prefetcher() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  T next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || error_; });
    if (ready_.empty()) std::rethrow_exception(error_);
    T value = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return value;
  }

 private:
  void run(int64_t index) {
    try {
      for (;; ++index) {
        T value = make_(index);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
        if (stop_) return;
        ready_.push_back(std::move(value));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  Make make_;
  size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> ready_;
  std::exception_ptr error_;
  bool stop_ = false;
  std::thread thread_;  // last: starts when all else stands
};

}  // namespace baton
