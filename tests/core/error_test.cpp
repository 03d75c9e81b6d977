#include "engine/core/error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace baton {
namespace {

TEST(Error, CheckPassesOrNamesTheValues) {
  EXPECT_NO_THROW(check(true, "never seen {}", 1));
  try {
    check(false, "linear: x has {} columns, shape {}", 3, std::vector<int64_t>{2, 3});
    FAIL() << "check let a false condition pass";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "linear: x has 3 columns, shape [2, 3]");
  }
}

TEST(Error, KindsAreDistinct) {  // the exit code depends on it
  EXPECT_THROW(fail("bad"), InputError);
  EXPECT_THROW(fail_run("worse"), RunError);
}

}  // namespace
}  // namespace baton
