#include "pipelines/failure.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <new>
#include <system_error>

#include "engine/comm/local.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/require.h"
#include "engine/data/dataset_source.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Failure, WhatTheUserGaveAndWhatWentWrongAreSaidAsTheyAre) {
  const Failure input = describe_failure(InputError("no such folder")), run = describe_failure(RunError("disk full")),
                lost = describe_failure(LostRank("rank 1 hangs"));
  EXPECT_EQ(input.exit_code, exit_bad_input);
  EXPECT_EQ(input.message, "no such folder");
  EXPECT_EQ(run.exit_code, exit_failed);
  EXPECT_EQ(run.message, "disk full");
  EXPECT_EQ(lost.exit_code, exit_failed);
  EXPECT_EQ(lost.message, "rank 1 hangs");
}

TEST(Failure, BrokenPromisesAndForeignExceptionsAskForAReport) {
  for (const Failure& failure :
       {describe_failure(LogicError("linear: 3 columns")), describe_failure(std::out_of_range("linear: 3 columns"))}) {
    EXPECT_EQ(failure.exit_code, exit_failed);
    EXPECT_THAT(failure.message, HasSubstr("linear: 3 columns"));
    EXPECT_THAT(failure.message, HasSubstr("bug of Baton, please report it"));
  }
}

TEST(Failure, OfFilesIsInOurWords) {
  using std::filesystem::filesystem_error;
  const auto failure_of = [](int code) {
    return describe_failure(filesystem_error("cannot iterate", "a/b", std::error_code(code, std::generic_category())));
  };
  const Failure missing = failure_of(ENOENT), broken = failure_of(EIO);
  EXPECT_EQ(missing.exit_code, exit_bad_input);
  EXPECT_EQ(missing.message,
            "a/b: reading or writing failed: No such file or directory; check the path and its permissions");
  EXPECT_EQ(broken.exit_code, exit_failed);
  EXPECT_EQ(broken.message, "a/b: reading or writing failed: Input/output error");
}

TEST(Failure, ThreadsThatRunOutAreNoBug) {
  const Failure failure = describe_failure(std::system_error(EAGAIN, std::generic_category()));
  EXPECT_EQ(failure.exit_code, exit_failed);
  EXPECT_THAT(failure.message, HasSubstr("no more threads"));
  EXPECT_THAT(failure.message, Not(HasSubstr("bug")));
}

TEST(Failure, MemoryThatRunsOutIsNoBug) {
  const Failure failure = describe_failure(std::bad_alloc());
  EXPECT_EQ(failure.exit_code, exit_failed);
  EXPECT_THAT(failure.message, HasSubstr("out of memory"));
  EXPECT_THAT(failure.message, Not(HasSubstr("bug")));
}

TEST(Failure, ListsReasonsALineEach) {
  Problems problems;
  problems.add("a.jsonl:1: 'x\nerror: y.png' is not a regular file");
  const auto logged = [&] {
    testing::internal::CaptureStderr();
    start_log(false);
    try {
      problems.throw_if_any("set");
    } catch (const InputError& error) {
      log_failure(describe_failure(error));
    }
    return testing::internal::GetCapturedStderr();
  };
  const std::string first = "error:   a.jsonl:1: 'x\\nerror: y.png' is not a regular file\n";
  EXPECT_EQ(logged(), "error: set: 1 problem in the data set:\n" + first);
  for (int i = 1; i < 12; ++i) problems.add("more");
  EXPECT_THAT(logged(), testing::StartsWith("error: set: 12 problems in the data set:\n" + first + "error:   more\n"));
  EXPECT_THAT(logged(), testing::EndsWith("error:   and 2 more\n"));
}

}  // namespace
}  // namespace baton
