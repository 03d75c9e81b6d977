#include "engine/io/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/core/heartbeat.h"
#include "engine/io/partial.h"

namespace baton {

void Output::close() {
  if (is_open()) ::close(std::exchange(descriptor_, -1));
}

void Output::write(const void* data, int64_t bytes, int64_t offset) {
  constexpr int64_t largest = 32 << 20;
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, std::min(bytes, largest), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) partial::fail_system(path_, "writing", errno);
    from += written, offset += written, bytes -= written, unflushed_ += written;
    if (unflushed_ >= largest) flush();
  }
}

void Output::flush() {
  const SlowCall call;
  if (::fsync(descriptor_) != 0) partial::fail_system(path_, "writing", errno);
  unflushed_ = 0;
}

}  // namespace baton
