#include "engine/train/metrics.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"

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

}  // namespace

MetricsFile::MetricsFile(const Path& path, int64_t resumed_step) : path_(path), file_(nullptr, std::fclose) {
  constexpr int64_t limit = int64_t{1} << 30;
  write_file(path,
             std::filesystem::exists(path) ? lines_until(read_file(path, limit), resumed_step, path.string()) : "");
  file_.reset(std::fopen(path.c_str(), "ab"));
  if (!file_) fail_run("{}: cannot be opened: {}", path.string(), std::strerror(errno));
}

void MetricsFile::write(const Json& line) {
  const std::string text = line.dump() + "\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  if (!written || std::fflush(file_.get()) != 0) fail_run("{}: not written: {}", path_.string(), std::strerror(errno));
}

}  // namespace baton
