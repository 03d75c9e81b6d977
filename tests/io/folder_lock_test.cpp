#include "engine/io/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;
using ::testing::HasSubstr;

TEST(FolderLock, KeepsAFolderForOne) {
  const Scratch scratch;
  {
    const FolderLock first(scratch / "new/run", "training");
    const std::string message = test::error_of([&] { FolderLock second(scratch / "new/run", "training"); });
    EXPECT_THAT(message, HasSubstr("another training is using this folder"));
    EXPECT_THAT(message, HasSubstr(fmt::format("process {} on ", ::getpid())));
    EXPECT_NO_THROW(FolderLock(scratch / "other", "training"));
  }
  EXPECT_NO_THROW(FolderLock(scratch / "new/run", "training"));
}

TEST(FolderLock, LeavesNoEmptyFolderThatWasNotThere) {
  const Scratch scratch;
  { const FolderLock lock(scratch / "new/run", "training"); }
  EXPECT_EQ(scratch.entries(), 0);
  std::filesystem::create_directory(scratch / "old");
  { const FolderLock lock(scratch / "old", "training"); }
  EXPECT_TRUE(std::filesystem::exists(scratch / "old"));
  {
    const FolderLock lock(scratch / "old/new/run", "training");
    write_file(scratch / "old/new/file", "kept");
  }
  EXPECT_FALSE(std::filesystem::exists(scratch / "old/new/run"));
  EXPECT_TRUE(std::filesystem::exists(scratch / "old/new/file"));
}

TEST(FolderLock, IsGivenBackWhenItsProcessIsKilled) {
  const Scratch scratch;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(scratch.path(), "training");
    (void)!::write(ready[1], "x", 1);
    ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_REFUSED(FolderLock(scratch.path(), "training"), fmt::format("process {} on ", child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]), ::close(ready[1]);
  EXPECT_NO_THROW(FolderLock(scratch.path(), "training"));
  EXPECT_EQ(scratch.entries(), 0);
}

}  // namespace
}  // namespace baton
