#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/io/output.h"

// Files that are either whole or absent. A writer works under a hidden name in the target's own folder
// (".NAME.partial"), flushes it to the disk and renames it; a crash at any point leaves the old file or the new one.
// The partial file is locked: a second writer of the same target is refused, and what a killed process left behind is
// taken over by the next one.
namespace baton {

using Path = std::filesystem::path;

// The whole file, refused when it is not a regular file or has more than `limit` bytes.
std::string read_file(const Path& path, int64_t limit);
// Replaces the file at once.
void write_file(const Path& path, std::string_view bytes);

// xxh3-128 as 32 hexadecimal digits: names content, and finds damage. It is no protection against forgery.
std::string hash_bytes(std::string_view bytes);
std::string hash_file(const Path& path);
// The same of the size and of 64 pieces of 64 KiB spread over the file (of all of a small one): tells apart files that
// differ nearly everywhere, as two trainings of a model do, in the same time for any size.
std::string hash_samples(const Path& path);

// A file in the making. Without commit() it disappears.
class AtomicFile {
 public:
  explicit AtomicFile(const Path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  Path target_, partial_;
  Output output_;
  int64_t size_ = 0;
};

}  // namespace baton
