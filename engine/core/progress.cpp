#include "engine/core/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "engine/core/error.h"
#include "engine/core/print.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds bar_interval(100), line_interval(30000);

std::string join(const Progress::Fields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += fmt::format("{} {:.4g}, ", name, value);
  return text;
}

}  // namespace

ProgressMode parse_progress_mode(const std::string& text) {
  if (text == "auto") return ProgressMode::automatic;
  if (text == "bar") return ProgressMode::bar;
  if (text == "json") return ProgressMode::json;
  if (text == "none") return ProgressMode::none;
  fail("--progress {}: expected auto, bar, json or none", text);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

Progress::Progress(ProgressMode mode, std::string task, int64_t total, int64_t done)
    : mode_(mode),
      terminal_(isatty(STDERR_FILENO) != 0),
      task_(printable_line(task)),
      total_(total),
      first_(done),
      start_(Clock::now()),
      shown_(start_) {
  if (mode_ == ProgressMode::automatic && terminal_) mode_ = ProgressMode::bar;
}

Progress::~Progress() {
  if (bar_open_) std::fputc('\n', stderr);
}

void Progress::update(int64_t done, const Fields& fields) {
  if (mode_ == ProgressMode::none) return;
  const auto now = Clock::now();
  const auto interval = mode_ == ProgressMode::bar ? Clock::duration(bar_interval) : Clock::duration(line_interval);
  if (mode_ != ProgressMode::json && done < total_ && now - shown_ < interval) return;
  shown_ = now;
  const double each =
      std::chrono::duration<double>(now - start_).count() / static_cast<double>(std::max<int64_t>(done - first_, 1));
  const double left = each * static_cast<double>(total_ - done);
  if (mode_ == ProgressMode::json) {
    std::string line = fmt::format(R"({{"task":"{}","done":{},"total":{})", task_, done, total_);
    for (const auto& [name, value] : fields) line += fmt::format(R"(,"{}":{:.6g})", name, value);
    fmt::print(stderr, "{},\"seconds_per_item\":{:.4g},\"seconds_left\":{:.1f}}}\n", line, each, left);
    return;
  }
  const std::string tail = fmt::format("{}{:.3g} s/it, {} left", join(fields), each, format_duration(left));
  if (mode_ == ProgressMode::bar)
    show_bar(done, tail);
  else
    fmt::print(stderr, "{} {}/{}: {}\n", task_, done, total_, tail);
}

void Progress::show_bar(int64_t done, const std::string& tail) {
  constexpr int64_t width = 24;
  const int64_t filled = total_ > 0 ? std::clamp<int64_t>(done * width / total_, 0, width) : width;
  const std::string bar = std::string(filled, '=') + std::string(width - filled, ' ');
  // erase to the end of the line: an earlier, longer text must not show through
  fmt::print(stderr, "\r{} {}/{} [{}] {}\x1b[K", task_, done, total_, bar, tail);
  std::fflush(stderr);
  bar_open_ = true;
}

}  // namespace baton
