#include "engine/core/log.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Log, WritesNoControlCharacters) {
  testing::internal::CaptureStderr();
  start_log(false);
  spdlog::error("key '\x1b[2Jname\a', 键\nnext line");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "error: key '\\u001b[2Jname\\u0007', 键\\nnext line\n");
}

}  // namespace
}  // namespace baton
