// Loaded into a program that does not know of it: its main thread hangs for ever on the signal SIGRTMIN, or at the very
// start in the process of the rank that $BATON_HANG_AT_START names.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

namespace {

// The system may hand the signal to another thread while the main thread cannot take it.
void hang(int) {
  if (gettid() != getpid()) {
    syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN);
    return;
  }
  for (;;) pause();
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

[[gnu::constructor]] void prepare() {
  std::signal(SIGRTMIN, hang);
  const std::string rank = variable("BATON_HANG_AT_START");
  if (!rank.empty() && rank == variable("OMPI_COMM_WORLD_RANK")) hang(0);
}

}  // namespace
