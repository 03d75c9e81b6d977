#pragma once

#include "engine/core/error.h"
#include "engine/io/file.h"
#include "engine/io/partial.h"

namespace baton {

// The open file became shorter than it was when it was opened. What has been read before is sound.
struct LostData : RunError {
  using RunError::RunError;
};

// A file mapped into memory, read-only. When somebody makes it shorter meanwhile, touching what is gone ends the
// process with a message that names the file and exit code 1, where the system would end it by SIGBUS; read() throws
// instead.
class MappedFile {
 public:
  // InputError if there is no such file, or it is empty.
  explicit MappedFile(const Path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Copies bytes from the file, not from the mapping. Throws LostData where the file ends before.
  void read(size_t offset, void* to, size_t bytes) const;

 private:
  struct Watched;
  Path path_;
  partial::Descriptor descriptor_;
  const char* data_ = nullptr;
  size_t bytes_ = 0;
  Watched* watched_ = nullptr;
};

}  // namespace baton
