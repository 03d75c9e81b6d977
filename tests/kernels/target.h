#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "hwy/targets.h"

// Included by one file of a test executable: with BATON_TEST_TARGET=AVX2 or SCALAR in the environment, all of its tests
// run on that instruction set instead of the best one that the processor has.
namespace baton::test {

inline int64_t wanted_target() {
  const char* name = std::getenv("BATON_TEST_TARGET");
  for (int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR})
    if (name && std::string(name) == hwy::TargetName(target)) return target;
  return 0;
}

inline bool restrict_target() {
  const int64_t target = wanted_target();
  if (target == 0) return false;
  hwy::SetSupportedTargetsForTest(target & (hwy::SupportedTargets() | HWY_SCALAR));
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}

namespace {
const bool target_restricted = restrict_target();

TEST(Target, IsTheOneAskedFor) {
  if (!target_restricted) GTEST_SKIP() << "BATON_TEST_TARGET is not set";
  if (hwy::SupportedTargets() != wanted_target()) GTEST_SKIP() << "this processor lacks it";
  EXPECT_TRUE(hwy::GetChosenTarget().IsInitialized());
}
}  // namespace

}  // namespace baton::test
