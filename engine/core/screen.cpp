#include "engine/core/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

namespace baton {
namespace {

std::mutex mutex;
bool bar_there = false;

}  // namespace

void write_to_stderr(std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stderr); }

bool can_redraw() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && kind && std::string_view(kind) != "dumb";
}

int64_t screen_columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

void draw_bar(std::string_view line) {
  const std::lock_guard lock(mutex);
  write_to_stderr("\r" + std::string(line) + "\x1b[K");  // erase the rest: a longer bar must not show through
  bar_there = true;
}

void clear_bar() {
  const std::lock_guard lock(mutex);
  if (std::exchange(bar_there, false)) write_to_stderr("\r\x1b[K");
}

void leave_bar() {
  const std::lock_guard lock(mutex);
  if (std::exchange(bar_there, false)) write_to_stderr("\n");
}

}  // namespace baton
