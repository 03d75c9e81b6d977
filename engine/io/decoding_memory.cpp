#include "engine/io/decoding_memory.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <opencv2/core.hpp>

#include "engine/core/heartbeat.h"

namespace baton {
namespace {

struct Shared {
  std::mutex mutex;
  std::condition_variable given_back;
  int64_t free = most_decoding_bytes;
};

Shared& shared() {
  static Shared all;
  return all;
}

thread_local int64_t largest_allocation = INT64_MAX;

// What OpenCV uses anyway, behind a look at the size.
class BoundedAllocator : public cv::MatAllocator {
 public:
  cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, size_t* step, cv::AccessFlag flags,
                         cv::UMatUsageFlags usage) const override {
    int64_t bytes = CV_ELEM_SIZE(type);
    for (int i = 0; i < dims; ++i)
      if (__builtin_mul_overflow(bytes, int64_t{sizes[i]}, &bytes)) bytes = INT64_MAX;
    if (bytes > largest_allocation) CV_Error(cv::Error::StsNoMem, "it is larger than its header says");
    return standard_->allocate(dims, sizes, type, data, step, flags, usage);
  }
  bool allocate(cv::UMatData* data, cv::AccessFlag flags, cv::UMatUsageFlags usage) const override {
    return standard_->allocate(data, flags, usage);
  }
  void deallocate(cv::UMatData* data) const override { standard_->deallocate(data); }

 private:
  cv::MatAllocator* standard_ = cv::Mat::getStdAllocator();
};

}  // namespace

DecodingMemory::DecodingMemory(int64_t bytes) : bytes_(bytes) {
  std::unique_lock lock(shared().mutex);
  while (shared().free < bytes) {
    beat();
    shared().given_back.wait_for(lock, std::chrono::seconds(1));
  }
  shared().free -= bytes;
}

DecodingMemory::~DecodingMemory() {
  {
    const std::lock_guard lock(shared().mutex);
    shared().free += bytes_;
  }
  shared().given_back.notify_all();
}

BoundedAllocations::BoundedAllocations(int64_t bytes) {
  static BoundedAllocator allocator;
  static const bool installed = (cv::Mat::setDefaultAllocator(&allocator), true);
  (void)installed;
  largest_allocation = bytes;
}

BoundedAllocations::~BoundedAllocations() { largest_allocation = INT64_MAX; }

}  // namespace baton
