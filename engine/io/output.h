#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

namespace baton {

// An open file that bytes go to. They go on to the disk every 32 MiB: one flush of a large file at its end could take
// longer than other ranks wait.
class Output {
 public:
  // Takes over the descriptor. `path`: for messages.
  Output(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  ~Output() { close(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  void close();
  // Both throw RunError if the disk is full.
  void write(const void* data, int64_t bytes, int64_t offset);
  void flush();

 private:
  std::filesystem::path path_;
  int descriptor_;
  int64_t unflushed_ = 0;  // bytes
};

}  // namespace baton
