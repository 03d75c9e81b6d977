#include "engine/io/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;

TEST(Stream, HasALimit) {
  const Scratch scratch;
  EXPECT_EQ(read_stream(scratch.put("a", "text"), 4), "text");
  EXPECT_REFUSED(read_stream(scratch / "a", 3), "more than 3 bytes");
  EXPECT_REFUSED(read_stream("/dev/zero", 1000), "/dev/zero: more than 1000 bytes");
  EXPECT_REFUSED(read_stream(scratch.path(), 3), "Is a directory");
  ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
  const std::jthread writer([&] { scratch.put("fifo", "through a pipe"); });
  EXPECT_EQ(read_stream(scratch / "fifo", 100), "through a pipe");
}

}  // namespace
}  // namespace baton
