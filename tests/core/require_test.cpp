#include "engine/core/require.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Require, NamesTheValuesAndTheLineThatBroke) {
  EXPECT_NO_THROW(require(true, "never seen {}", 1));
  try {
    require(false, "linear: x has {} columns", 3);
    FAIL() << "require let a false condition pass";
  } catch (const LogicError& error) {
    EXPECT_EQ(error.what(), fmt::format("linear: x has 3 columns (core/require_test.cpp:{})", __LINE__ - 3));
  }
}

}  // namespace
}  // namespace baton
