#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

// stderr on a terminal of so many columns, as a user sees it.
namespace baton::test {

class PseudoTerminal {
 public:
  explicit PseudoTerminal(unsigned short columns, const char* kind = "xterm") : kept_(dup(STDERR_FILENO)) {
    int inner = -1;
    if (openpty(&outer_, &inner, nullptr, nullptr, nullptr) != 0) throw std::runtime_error("no pseudo-terminal");
    dup2(inner, STDERR_FILENO);
    close(inner);
    resize(columns);
    setenv("TERM", kind, 1);
  }
  ~PseudoTerminal() {
    dup2(kept_, STDERR_FILENO);
    close(kept_);
    close(outer_);
  }

  void resize(unsigned short columns) {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(STDERR_FILENO, TIOCSWINSZ, &size);
  }

  // What was written since the last call.
  std::string written() {
    std::string text;
    char block[4096];
    for (pollfd ready{outer_, POLLIN, 0}; poll(&ready, 1, 50) > 0;) {
      const ssize_t n = read(outer_, block, sizeof block);
      if (n <= 0) break;
      text.append(block, n);
    }
    return text;
  }

 private:
  int kept_, outer_ = -1;
};

}  // namespace baton::test
