#include "engine/io/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::error_of;
using test::Scratch;

TEST(MappedFile, SaysWhichFileBecameShorter) {
  const Scratch scratch;
  const Path path = scratch.put("weights\x1b", std::string(100'000, 'x'));
  const MappedFile file(path);
  char byte = 0;
  file.read(99'999, &byte, 1);
  EXPECT_EQ(byte, 'x');
  std::filesystem::resize_file(path, 10);
  EXPECT_EQ(file.data()[5], 'x');  // the page that is left
  EXPECT_THAT(error_of<LostData>([&] { file.read(99'999, &byte, 1); }), testing::HasSubstr("became shorter"));
  const volatile char* gone = file.data() + 90'000;
  EXPECT_EXIT(
      {
        const MappedFile other(scratch.put("other", "x"));  // the handler must find the right one of several
        byte = *gone;
      },
      testing::ExitedWithCode(1), "error: .*weights.*u001b: became shorter while it was in use");
}

TEST(MappedFile, LeavesOtherBusErrorsToTheSystem) {
  const Scratch scratch;
  { const MappedFile closed(scratch.put("closed", "x")); }
  EXPECT_EXIT(std::raise(SIGBUS); std::raise(SIGBUS), testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace baton
