// `baton`: starts libexec/baton beside it, with an OpenMP that does not spin for long.
//
// A thread that waits at a barrier spins for a while before it sleeps. libgomp's default is milliseconds: on a machine
// with other work these spinners take the cores from the very threads that they wait for, and a picture of one second
// takes half a minute. libgomp reads its environment when it is loaded, before main(), and has no call for this; hence
// a program of its own, without libraries, that takes a millisecond.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

int main(int, char** argv) {
  // Some ten microseconds, more than a wait takes on an idle machine. What the user says wins.
  if (!std::getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "1000", /*overwrite=*/0);
  char own[4096] = "";
  const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
  std::string program(own, length > 0 ? length : 0);
  program.erase(program.rfind('/') + 1);
  program += "libexec/baton";
  execv(program.c_str(), argv);
  std::fprintf(stderr, "error: %s cannot be started: %s; it belongs to baton, build or copy both\n", program.c_str(),
               std::strerror(errno));
  return 1;
}
