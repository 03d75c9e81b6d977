#include "engine/core/progress.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/screen.h"

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
      terminal_(can_redraw()),
      task_(std::move(task)),
      total_(total),
      first_(done),
      start_(Clock::now()),
      shown_(start_) {
  if (mode_ == ProgressMode::automatic && terminal_) mode_ = ProgressMode::bar;
}

Progress::~Progress() {
  if (bar_open_) leave_bar();
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
    for (const auto& [name, value] : fields)
      line += fmt::format(R"(,"{}":{})", name, std::isfinite(value) ? fmt::format("{:.6g}", value) : "null");
    write_to_stderr(fmt::format("{},\"seconds_per_item\":{:.4g},\"seconds_left\":{:.1f}}}\n", line, each, left));
    return;
  }
  const std::string tail = fmt::format("{}{:.3g} s/it, {} left", join(fields), each, format_duration(left));
  if (mode_ == ProgressMode::bar)
    show_bar(done, tail);
  else
    write_to_stderr(fmt::format("{} {}/{}: {}\n", task_, done, total_, tail));
}

// A line that fits the screen: first the bar gets shorter, then the words before the last (the time left) go, from the
// end on. The last column stays free: a character there makes some terminals go on to the next line.
void Progress::show_bar(int64_t done, const std::string& tail) {
  constexpr int64_t shortest = 4, longest = 24;
  const std::string head = fmt::format("{} {}/{} ", task_, done, total_), last = tail.substr(tail.rfind(", ") + 2);
  const int64_t columns = screen_columns() - 1, room = columns - std::ssize(head);
  std::string words = tail.substr(0, tail.size() - last.size());  // "loss 0.31, 0.52 s/it, "
  while (!words.empty() && std::ssize(words) + std::ssize(last) > room) {
    words.resize(words.size() - 2);
    const size_t before = words.rfind(", ");
    words.resize(before == words.npos ? 0 : before + 2);
  }
  const int64_t width = std::min(longest, room - std::ssize(words) - std::ssize(last) - 3);
  std::string bar;
  if (width >= shortest) {
    const int64_t filled = total_ > 0 ? std::clamp<int64_t>(done * width / total_, 0, width) : width;
    bar = "[" + std::string(filled, '=') + std::string(width - filled, ' ') + "] ";
  }
  draw_bar((head + bar + words + last).substr(0, columns));
  bar_open_ = true;
}

}  // namespace baton
