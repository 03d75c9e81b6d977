#include "engine/train/metrics.h"

#include <fcntl.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "engine/io/partial.h"

namespace baton {
namespace {

// The lines up to `step`; a last line that a crash cut short is dropped as well.
std::string lines_until(const std::string& text, int64_t step, const std::string& where) {
  std::string kept;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    try {
      if (JsonReader::text(line, where).optional("step", int64_t{0}) <= step) kept += line + "\n";
    } catch (const InputError&) {  // not a line of ours
    }
  }
  return kept;
}

// Returns how many bytes there are then.
int64_t write_lines_until(const Path& path, int64_t step) {
  constexpr int64_t limit = int64_t{1} << 30;
  const std::string kept =
      std::filesystem::exists(path) ? lines_until(read_file(path, limit), step, path.string()) : "";
  write_file(path, kept);
  return std::ssize(kept);
}

int open_existing(const Path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) partial::fail_open(path, "opening", errno);
  return descriptor;
}

}  // namespace

MetricsFile::MetricsFile(const Path& path, int64_t resumed_step)
    : size_(write_lines_until(path, resumed_step)), output_(path, open_existing(path)) {}

void MetricsFile::write(const Json& line) {
  const std::string text = line.dump() + "\n";
  output_.write(text.data(), std::ssize(text), size_);
  size_ += std::ssize(text);
}

void MetricsFile::flush() { output_.flush(); }

}  // namespace baton
