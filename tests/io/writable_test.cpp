#include "engine/io/writable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

TEST(Writable, FollowsLinks) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "disk");
  std::filesystem::create_symlink("disk/real", scratch / "middle");
  std::filesystem::create_symlink(scratch / "middle", scratch / "link");
  EXPECT_NO_THROW(check_writable(scratch / "link"));
  std::filesystem::create_symlink("circle", scratch / "circle");
  EXPECT_REFUSED(check_writable(scratch / "circle"), "circle: the symbolic links lead in a circle");
  std::filesystem::create_symlink("no/such/folder", scratch / "nowhere");
  EXPECT_REFUSED(check_writable(scratch / "nowhere"), "nowhere: writing there failed: No such file");
}

TEST(Writable, WhatCannotBeWrittenIsKnownBefore) {
  const Scratch scratch;
  scratch.put("file", "x");
  EXPECT_NO_THROW(check_writable(scratch / "file"));
  EXPECT_NO_THROW(check_writable(scratch / "new"));
  EXPECT_NO_THROW(check_writable(scratch / std::string(255, 'n')));
  EXPECT_REFUSED(check_writable(scratch / std::string(256, 'n')), "File name too long");
  EXPECT_REFUSED(check_writable(scratch / "no/new"), "No such file or directory; check the path");
  EXPECT_REFUSED(check_writable(scratch / "file/new"), "Not a directory");
  EXPECT_REFUSED(check_writable(scratch.path()), "not a regular file");
  EXPECT_REFUSED(check_writable("/dev/full"), "not a regular file");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(Writable, FoldersAreMadeOrRefusedWithWords) {
  const Scratch scratch;
  scratch.put("file", "x");
  EXPECT_NO_THROW(check_writable_folder(scratch / "a/b/c"));
  EXPECT_EQ(scratch.entries(), 1);
  make_folder(scratch / "a/b/c");
  make_folder(scratch / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(scratch / "a/b/c"));
  std::filesystem::create_symlink("absent", scratch / "nowhere");
  EXPECT_REFUSED(check_writable_folder(scratch / "nowhere/below"), "No such file");
  const std::function<void(const Path&)> make = [](const Path& folder) { make_folder(folder); };
  for (const auto& refused : {make, std::function<void(const Path&)>(check_writable_folder)}) {
    EXPECT_REFUSED(refused(scratch / "file"), "Not a directory");
    EXPECT_REFUSED(refused(scratch / "file/below"), "Not a directory");
  }
}

}  // namespace
}  // namespace baton
