#pragma once

#include <cstdint>

namespace baton {

// Memory for pictures that are being decoded, of all threads together: a small file may unpack to gigabytes, and each
// core decodes one at a time.
constexpr int64_t most_decoding_bytes = int64_t{1} << 30;

// Takes its part, at most all of it; waits until others have given back enough.
class DecodingMemory {
 public:
  explicit DecodingMemory(int64_t bytes);
  ~DecodingMemory();
  DecodingMemory(const DecodingMemory&) = delete;
  DecodingMemory& operator=(const DecodingMemory&) = delete;

 private:
  int64_t bytes_;
};

// While it lives, cv::Mat refuses to allocate more than `bytes` at once on this thread, with cv::Exception. So a
// decoder that reads another size from a file than our own look at its header cannot use it.
class BoundedAllocations {
 public:
  explicit BoundedAllocations(int64_t bytes);
  ~BoundedAllocations();
  BoundedAllocations(const BoundedAllocations&) = delete;
  BoundedAllocations& operator=(const BoundedAllocations&) = delete;
};

}  // namespace baton
