#include "engine/core/progress.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace baton {
namespace {

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(723), "12:03");
  EXPECT_EQ(format_duration(12000), "3:20:00");
}

TEST(Progress, KnowsItsModes) {
  EXPECT_EQ(parse_progress_mode("auto"), ProgressMode::automatic);
  EXPECT_EQ(parse_progress_mode("json"), ProgressMode::json);
  EXPECT_THROW(parse_progress_mode("loud"), InputError);
}

TEST(Progress, WritesJsonLines) {
  testing::internal::CaptureStderr();
  {
    Progress progress(ProgressMode::json, "train", 4, 2);
    progress.update(3, {{"loss", 0.5}});
  }
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(line.starts_with(R"({"task":"train","done":3,"total":4,"loss":0.5,"seconds_per_item":)")) << line;
  EXPECT_TRUE(line.ends_with("}\n")) << line;
}

TEST(Progress, SaysOnePlainLineAtTheEnd) {
  testing::internal::CaptureStderr();
  {
    Progress progress(ProgressMode::automatic, "train", 2);
    progress.update(1, {{"loss", 0.5}});
    progress.update(2, {{"loss", 0.25}});
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(text.starts_with("train 2/2: loss 0.25, ")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, NoneIsSilent) {
  testing::internal::CaptureStderr();
  Progress(ProgressMode::none, "train", 2).update(2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace baton
