#include "engine/io/new_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;
using test::slurp;

TEST(NewFile, TakesTheNextFreeName) {
  const Scratch scratch;
  EXPECT_EQ(write_new_file(scratch / "a.png", {"1"}), scratch / "a.png");
  EXPECT_EQ(write_new_file(scratch / "a.png", {"2"}), scratch / "a-2.png");
  std::filesystem::create_symlink("nowhere", scratch / "a-3.png");
  EXPECT_EQ(write_new_file(scratch / "a.png", {"4", "", "5"}), scratch / "a-4.png");
  EXPECT_EQ(slurp(scratch / "a.png") + slurp(scratch / "a-2.png") + slurp(scratch / "a-4.png"), "1245");
  EXPECT_FALSE(std::filesystem::exists(scratch / "nowhere"));
}

TEST(NewFile, ThoseOfManyWritersAllStay) {
  const Scratch scratch;
  constexpr int writers = 8, each = 20;
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < writers; ++w)
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) write_new_file(scratch / "a.png", {"x"});
      });
  }
  EXPECT_EQ(scratch.entries(), writers * each);
}

}  // namespace
}  // namespace baton
