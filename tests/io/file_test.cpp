#include "engine/io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "engine/core/heartbeat.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::error_of;
using test::Scratch;
using test::slurp;
using ::testing::HasSubstr;

TEST(File, ReadsWithinItsLimit) {
  const Scratch scratch;
  const std::string text("a\0b\n", 4);
  scratch.put("a", text);
  EXPECT_EQ(read_file(scratch / "a", 4), text);
  EXPECT_REFUSED(read_file(scratch / "a", 3), "4 bytes, at most 3 are accepted here");
  EXPECT_EQ(read_file(scratch.put("empty", ""), 0), "");
  EXPECT_REFUSED(read_file(scratch / "none", 3), "none: reading failed: No such file");
  EXPECT_REFUSED(read_file(scratch.path(), 3), "not a regular file");
  ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
  EXPECT_REFUSED(read_file(scratch / "fifo", 3), "not a regular file");  // and does not wait for a writer
}

TEST(File, SamplesTellTrainingsApart) {
  const Scratch scratch;
  std::string bytes(9 << 20, 'a');
  const std::string first = hash_samples(scratch.put("a", bytes));
  EXPECT_EQ(hash_samples(scratch.put("b", bytes)), first);
  for (size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = 'b';
  EXPECT_NE(hash_samples(scratch.put("b", bytes)), first);
  EXPECT_NE(hash_samples(scratch.put("b", std::string((9 << 20) + 1, 'a'))), first) << "size";
  const Path small = scratch.put("small", "abc");
  EXPECT_EQ(hash_samples(small), hash_file(small));
}

TEST(File, HashIsXxh3) {
  const Scratch scratch;
  EXPECT_EQ(hash_bytes(""),
            "99aa06d3014798d86001c324468d497f");  // the value that the xxHash specification gives for no input
  std::string big(3'000'000, 'x');
  big[1'500'000] = 'y';
  EXPECT_EQ(hash_file(scratch.put("big", big)), hash_bytes(big));
  EXPECT_NE(hash_bytes(big), hash_bytes(std::string(3'000'000, 'x')));
}

TEST(File, WritesReplaceAtOnce) {
  const Scratch scratch;
  write_file(scratch / "a", "first");
  {
    AtomicFile file(scratch / "a");
    file.write("sec");
    EXPECT_EQ(slurp(scratch / "a"), "first");
    file.write("ond");
    file.commit();
  }
  EXPECT_EQ(slurp(scratch / "a"), "second");
  EXPECT_EQ(scratch.entries(), 1);
}

// Other ranks hold a rank for lost that gives no sign of life for some seconds.
TEST(File, LargeOnesAreWrittenAndHashedWithSignsOfLife) {
  const Scratch scratch;
  std::atomic<int64_t> beats = 0;
  heartbeat = &beats;
  const std::string part(48 << 20, 'x');
  AtomicFile file(scratch / "a");
  for (int64_t i = 1; i <= 2; ++i) {
    file.write(part);
    EXPECT_GE(beats, i);  // at least every 32 MiB, before it is complete
  }
  file.commit();
  beats = 0;
  EXPECT_EQ(hash_file(scratch / "a"), hash_bytes(part + part));
  EXPECT_GE(beats, 3);
  heartbeat = nullptr;
}

TEST(File, AbandonedWritesLeaveNothing) {
  const Scratch scratch;
  write_file(scratch / "a", "first");
  { AtomicFile(scratch / "a").write("half"); }
  EXPECT_EQ(slurp(scratch / "a"), "first");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(File, TakesOverWhatAKilledWriterLeft) {
  const Scratch scratch;
  scratch.put(".a.partial", "a long rest of an earlier attempt");
  write_file(scratch / "a", "new");
  EXPECT_EQ(slurp(scratch / "a"), "new");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(File, WhatStandsUnderThePartialNameIsNotTouched) {
  const Scratch scratch;
  const Path partial = scratch / ".a.partial", victim = scratch.put("victim", "precious");
  const std::vector<std::function<void()>> plants{
      [&] { std::filesystem::create_symlink("victim", partial); },
      [&] { std::filesystem::create_hard_link(victim, partial); },
      [&] { std::filesystem::create_symlink("nowhere", partial); },
      [&] { ASSERT_EQ(::mkfifo(partial.c_str(), 0600), 0); },  // nobody will ever read it
  };
  for (const auto& plant : plants) {
    plant();
    write_file(scratch / "a", "new");
    EXPECT_EQ(slurp(scratch / "a"), "new");
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(scratch / "a")));
    EXPECT_EQ(slurp(victim), "precious");
    EXPECT_EQ(scratch.entries(), 2);
  }
}

TEST(File, NamesMayBeAsLongAsTheFileSystemAllows) {
  const Scratch scratch;
  for (const size_t length : {246, 247, 255}) {
    const std::string name = std::string(length - 2, 'n') + "é";
    write_file(scratch / name, "x");
    EXPECT_EQ(slurp(scratch / name), "x");
  }
  EXPECT_REFUSED(write_file(scratch / std::string(256, 'n'), "x"), "a name of more than 255 bytes");
}

TEST(File, SecondWriterIsRefused) {
  const Scratch scratch;
  AtomicFile first(scratch / "a");
  EXPECT_THAT(error_of<RunError>([&] { AtomicFile second(scratch / "a"); }),
              HasSubstr("another process is writing it"));
  first.write("x");
  first.commit();
  EXPECT_EQ(slurp(scratch / "a"), "x");
}

TEST(File, FollowsLinksAndSparesDevices) {
  const Scratch scratch;
  std::filesystem::create_symlink("to_come", scratch / "dangling");
  write_file(scratch / "dangling", "first");
  EXPECT_EQ(slurp(scratch / "to_come"), "first");
  std::filesystem::create_symlink("circle", scratch / "circle");
  EXPECT_REFUSED(write_file(scratch / "circle", "x"), "circle: the symbolic links lead in a circle");
  scratch.put("real", "old");
  std::filesystem::create_symlink("real", scratch / "link");
  write_file(scratch / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(scratch / "link"));
  EXPECT_EQ(slurp(scratch / "real"), "new");
  EXPECT_REFUSED(write_file("/dev/null", "x"), "exists and is not a regular file");
  EXPECT_REFUSED(write_file(scratch.path(), "x"), "exists and is not a regular file");
  EXPECT_REFUSED(write_file(scratch / "no/such/folder", "x"), "No such file or directory; check the path");
}

TEST(File, OneFileOfManyWritersIsWhole) {
  const Scratch scratch;
  {
    std::vector<std::jthread> threads;
    for (const char letter : {'a', 'b', 'c', 'd'})
      threads.emplace_back([&scratch, letter] {
        for (int i = 0; i < 10; ++i) write_file(scratch / "one", std::string(100'000, letter));
      });
  }
  const std::string text = slurp(scratch / "one");
  EXPECT_EQ(text, std::string(100'000, text.at(0)));
  EXPECT_EQ(scratch.entries(), 1);
}

// A limit on the size of files stands for a full disk: write() fails half-way.
TEST(File, FailedWriteLeavesTheOldFile) {
  const Scratch scratch;
  write_file(scratch / "a", "first");
  rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small = {65536, old.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = error_of<RunError>([&] { write_file(scratch / "a", std::string(1 << 20, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message, HasSubstr("a: writing failed: File too large"));
  EXPECT_EQ(slurp(scratch / "a"), "first");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(File, FullDiskLeavesTheOldFile) {
  const Scratch scratch;
  if (::mount("tmpfs", scratch.path().c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "may not mount a small file system here";
  write_file(scratch / "a", "first");
  const std::string message = error_of<RunError>([&] { write_file(scratch / "a", std::string(1 << 20, 'x')); });
  EXPECT_THAT(message, HasSubstr("a: writing failed: No space left on device; free some space and run again"));
  EXPECT_EQ(slurp(scratch / "a"), "first");
  EXPECT_EQ(scratch.entries(), 1);
  ::umount2(scratch.path().c_str(), MNT_DETACH);
}

TEST(File, AnotherWritersPartialFileIsNotPutInPlace) {
  const Scratch scratch;
  write_file(scratch / "a", "first");
  {
    AtomicFile file(scratch / "a");
    file.write("whole");
    std::filesystem::remove(scratch / ".a.partial");
    scratch.put(".a.partial", "half");
    EXPECT_THAT(error_of<RunError>([&] { file.commit(); }), HasSubstr("another process has removed or replaced"));
  }
  EXPECT_EQ(slurp(scratch / "a"), "first");
  EXPECT_EQ(slurp(scratch / ".a.partial"), "half");
}

}  // namespace
}  // namespace baton
