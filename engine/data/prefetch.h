#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace baton {

// Makes values `first`, first + 1, … of a sequence on one background thread, up to `ahead` before they are asked for.
// What make() throws comes out of the next() that would have returned the value; the sequence ends there.
template <typename T>
class Prefetcher {
 public:
  using Make = std::function<T(int64_t index)>;

  Prefetcher(Make make, int64_t first, size_t ahead = 2) : make_(std::move(make)), ahead_(ahead) {
    thread_ = std::thread([this, first] { run(first); });
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
    for (;; ++index) {
      std::optional<T> value;
      std::exception_ptr error;
      try {
        value = make_(index);
      } catch (...) {
        error = std::current_exception();
      }
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
      if (stop_) return;
      if (error)
        error_ = error;
      else
        ready_.push_back(std::move(*value));
      changed_.notify_all();
      if (error) return;
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
