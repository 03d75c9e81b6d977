#include "tools/baton/process.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "engine/core/error.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

std::atomic<bool> stop_requested{false};
std::atomic<int64_t> interrupted_at{-1};  // milliseconds

int64_t milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// timeout(1) and mpirun send a signal to the process and to its group: what follows this soon is the same Ctrl-C.
constexpr int64_t same_interrupt = 500;

// A second Ctrl-C ends the program; the other signals come in numbers (the shell and the kernel both hang up, a batch
// system warns and then terminates) and must not end what the first of them began. Calls only what a handler may.
void on_signal(int signal) {
  stop_requested = true;
  if (signal != SIGINT) return;
  const int64_t now = milliseconds();
  int64_t before = -1;
  interrupted_at.compare_exchange_strong(before, now);
  if (before >= 0 && now - before > same_interrupt) _exit(exit_interrupted);
  constexpr std::string_view note = "\nstopping after what is at hand; Ctrl-C again ends at once\n";
  if (before < 0) (void)!::write(STDERR_FILENO, note.data(), note.size());
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

bool ignored(int signal) {
  struct sigaction now;
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

void prepare_process() {
  // The wrong direction on purpose: reading or writing fails, as it would have.
  for (const auto& [stream, flags] :
       {std::pair(STDIN_FILENO, O_WRONLY), {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_RDONLY}})
    if (fcntl(stream, F_GETFD) < 0) (void)::open("/dev/null", flags);  // takes the lowest free number
  handle(SIGPIPE, SIG_IGN);
  handle(SIGXFSZ, SIG_IGN);
}

const std::atomic<bool>& stop_on_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU})
    if (signal != SIGHUP || !ignored(SIGHUP)) handle(signal, on_signal);  // nohup asks not to be hung up
  return stop_requested;
}

void check_output_written() {
  std::cout.flush();
  if (!std::cout || std::ferror(stdout))
    fail_run(
        "standard output could not be written (is the disk full, or has its reader gone?): what stood there is lost");
}

}  // namespace baton
