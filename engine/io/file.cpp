#include "engine/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/io/partial.h"

namespace baton {
namespace {

using partial::Descriptor;
using partial::fail_open;
using partial::fail_system;

// O_NONBLOCK: a FIFO must not hold us up before it is refused.
Descriptor open_regular(const Path& path, int64_t& bytes) {
  Descriptor d{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (d.value < 0) fail_open(path, "reading", errno);
  struct stat info;
  if (::fstat(d.value, &info) != 0) fail_system(path, "reading", errno);
  check(S_ISREG(info.st_mode), "{}: not a regular file", path.string());
  bytes = info.st_size;
  return Descriptor{d.release()};
}

// 0 at the end of the file.
size_t read_some(const Path& path, const Descriptor& d, char* out, size_t limit) {
  for (;;) {
    const ssize_t n = ::read(d.value, out, limit);
    if (n >= 0) return n;
    if (errno != EINTR) fail_system(path, "reading", errno);
  }
}

int open_empty(const Path& target, const Path& partial) {
  std::error_code none;
  const auto status = std::filesystem::status(target, none);
  // Renaming over a device or a folder would destroy it.
  check(!exists(status) || is_regular_file(status), "{}: exists and is not a regular file", target.string());
  return partial::create_file(target, partial);
}

std::string hex(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

std::string read_file(const Path& path, int64_t limit) {
  int64_t size;
  const Descriptor d = open_regular(path, size);
  check(size <= limit, "{}: {} bytes, at most {} are accepted here", path.string(), size, limit);
  std::string bytes(size, '\0');
  for (size_t done = 0; done < bytes.size();) {
    const size_t n = read_some(path, d, bytes.data() + done, bytes.size() - done);
    check(n > 0, "{}: became shorter while it was read", path.string());
    done += n;
  }
  return bytes;
}

void write_file(const Path& path, std::string_view bytes) {
  for (int waits = 0;; ++waits) try {
      AtomicFile file(path);
      file.write(bytes);
      return file.commit();
    } catch (const partial::Busy&) {  // with a writer that is as quick as we are
      constexpr int most_waits = 100;
      if (waits == most_waits) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

std::string hash_bytes(std::string_view bytes) { return hex(XXH3_128bits(bytes.data(), bytes.size())); }

std::string hash_file(const Path& path) {
  int64_t size;
  const Descriptor d = open_regular(path, size);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> block(1 << 20);
  while (const size_t n = read_some(path, d, block.data(), block.size())) {
    XXH3_128bits_update(state.get(), block.data(), n);
    beat();
  }
  return hex(XXH3_128bits_digest(state.get()));
}

std::string hash_samples(const Path& path) {
  constexpr int64_t pieces = 64, bytes = 64 << 10;
  int64_t size;
  const Descriptor d = open_regular(path, size);
  if (size <= pieces * bytes) return hash_file(path);
  std::string samples = fmt::format("{} bytes", size), piece(bytes, '\0');
  for (int64_t i = 0; i < pieces; ++i) {
    if (::lseek(d.value, (size - bytes) * i / (pieces - 1), SEEK_SET) < 0) fail_system(path, "reading", errno);
    for (size_t done = 0; done < piece.size();) {
      const size_t n = read_some(path, d, piece.data() + done, piece.size() - done);
      check(n > 0, "{}: became shorter while it was read", path.string());
      done += n;
    }
    samples += piece;
  }
  return hash_bytes(samples);
}

AtomicFile::AtomicFile(const Path& target)
    : target_(partial::resolve(target)),
      partial_(partial::partial_name(target_)),
      output_(target_, open_empty(target_, partial_)) {}

AtomicFile::~AtomicFile() {
  if (output_.is_open()) partial::remove_file(partial_, output_.descriptor());
}

void AtomicFile::write(const void* data, size_t bytes) {
  output_.write(data, static_cast<int64_t>(bytes), size_);
  size_ += static_cast<int64_t>(bytes);
}

void AtomicFile::commit() {
  output_.flush();
  partial::check_named(target_, partial_, output_.descriptor());
  if (::rename(partial_.c_str(), target_.c_str()) != 0) fail_system(target_, "renaming", errno);
  output_.close();  // cannot lose anything: the data is on the disk
  partial::flush_folder(partial::parent_of(target_));
}

}  // namespace baton
