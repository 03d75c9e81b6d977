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

// Exit code of `body` as a user who owns nothing here.
template <typename Body>
int as_another_user(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    ::_exit(::setgid(nobody) == 0 && ::setuid(nobody) == 0 ? body() : 100);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

TEST(FolderLock, IsNotTakenFromAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "may not become another user";
  const Scratch scratch;
  namespace fs = std::filesystem;
  fs::permissions(scratch.path(), fs::perms::all);
  const auto train = [&] {
    try {
      const FolderLock second(scratch.path(), "training");
      return 0;
    } catch (const InputError& error) {
      return std::string(error.what()).find("another training is using this folder") != std::string::npos ? 2 : 3;
    }
  };
  for (const fs::perms mode : {fs::perms(0644), fs::perms(0600)}) {
    const FolderLock first(scratch.path(), "training");
    fs::permissions(scratch / ".lock", mode);
    EXPECT_EQ(as_another_user(train), 2);
    EXPECT_TRUE(fs::exists(scratch / ".lock"));
  }
  scratch.put(".lock", "of a process that was killed");
  EXPECT_EQ(as_another_user(train), 0);
}

}  // namespace
}  // namespace baton
