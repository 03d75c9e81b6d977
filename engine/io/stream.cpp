#include "engine/io/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "engine/core/error.h"
#include "engine/io/partial.h"

namespace baton {

std::string read_stream(const Path& path, int64_t limit) {
  const bool standard = path == "-";
  const Path name = standard ? "standard input" : path;
  const partial::Descriptor d{standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (d.value < 0) partial::fail_open(name, "reading", errno);
  std::string bytes;
  std::vector<char> block(1 << 16);
  for (;;) {
    const ssize_t n = ::read(d.value, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) partial::fail_open(name, "reading", errno);
    if (n == 0) return bytes;
    bytes.append(block.data(), n);
    check(std::ssize(bytes) <= limit, "{}: more than {} bytes, which is the most that is accepted here", name.string(),
          limit);
  }
}

}  // namespace baton
