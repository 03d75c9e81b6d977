#include "engine/core/log.h"

#include <gtest/gtest.h>

#include "engine/core/progress.h"
#include "tests/core/pseudo_terminal.h"

namespace baton {
namespace {

TEST(Log, WritesNoControlCharacters) {
  testing::internal::CaptureStderr();
  start_log(false);
  spdlog::error("key '\x1b[2Jname\a', 键\nnext line");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "error: key '\\u001b[2Jname\\u0007', 键\\nnext line\n");
}

std::string error_on_a_terminal(const char* kind) {
  test::PseudoTerminal terminal(80, kind);
  start_log(false);
  spdlog::error("no");
  return terminal.written();
}

TEST(Log, IsInColourWhereThatIsWanted) {
  unsetenv("NO_COLOR");
  EXPECT_EQ(error_on_a_terminal("xterm"), "\x1b[31m\x1b[1merror\x1b[m: no\r\n");
  EXPECT_EQ(error_on_a_terminal("dumb"), "error: no\r\n");
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(error_on_a_terminal("xterm"), "error: no\r\n");
  unsetenv("NO_COLOR");
}

TEST(Log, StartsOnALineOfItsOwn) {
  test::PseudoTerminal terminal(80, "xterm");
  start_log(false);
  Progress progress(ProgressMode::automatic, "train", 1);
  progress.update(1);
  terminal.written();
  setenv("NO_COLOR", "1", 1);
  start_log(false);
  spdlog::info("saved");
  unsetenv("NO_COLOR");
  EXPECT_EQ(terminal.written(), "\r\x1b[Kinfo: saved\r\n");
}

}  // namespace
}  // namespace baton
