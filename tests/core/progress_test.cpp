#include "engine/core/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/screen.h"
#include "tests/core/pseudo_terminal.h"

namespace baton {
namespace {

using test::PseudoTerminal;

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

TEST(Progress, NumbersThatJsonDoesNotHaveAreNull) {
  testing::internal::CaptureStderr();
  Progress(ProgressMode::json, "train", 1).update(1, {{"loss", NAN}, {"worst", -INFINITY}, {"best", 0.5}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(line.starts_with(R"({"task":"train","done":1,"total":1,"loss":null,"worst":null,"best":0.5,)")) << line;
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

// "\r", a line that leaves the last column free, "erase to the end".
void expect_one_line(const std::string& text, size_t columns) {
  ASSERT_TRUE(text.starts_with("\r") && text.ends_with("\x1b[K")) << text;
  const std::string line = text.substr(1, text.size() - 4);
  EXPECT_LT(line.size(), columns) << line;
  EXPECT_EQ(line.find_first_of("\r\n\x1b"), line.npos) << line;
}

TEST(Progress, FitsEveryTerminal) {
  for (const unsigned short columns : {200, 82, 81, 80, 79, 60, 40, 20, 8, 1}) {
    PseudoTerminal terminal(columns);
    Progress progress(ProgressMode::automatic, "generate", 20000);
    progress.update(20000, {{"pictures", 1000}, {"step", 24}, {"expert", 3}, {"loss", 0.123456789}});
    const std::string text = terminal.written();
    SCOPED_TRACE(columns);
    expect_one_line(text, columns);
    EXPECT_EQ(text.find(" left") != text.npos, columns >= 40) << text;
    EXPECT_EQ(text.find("expert 3, ") != text.npos, columns >= 79) << text;
  }
}

TEST(Progress, HasABarOnAnOrdinaryTerminal) {
  PseudoTerminal terminal(80);
  Progress progress(ProgressMode::automatic, "generate", 192);
  progress.update(192, {{"picture", 8}, {"step", 24}, {"expert", 3}});
  const std::string text = terminal.written();
  expect_one_line(text, 80);
  EXPECT_TRUE(text.starts_with("\rgenerate 192/192 [====")) << text;
  EXPECT_NE(text.find("] picture 8, step 24, expert 3, "), text.npos) << text;
}

TEST(Progress, FollowsATerminalThatIsResized) {
  PseudoTerminal terminal(200);
  Progress progress(ProgressMode::bar, "train", 3);
  progress.update(3, {{"loss", 0.5}});
  terminal.written();
  terminal.resize(30);
  progress.update(3, {{"loss", 0.5}});
  expect_one_line(terminal.written(), 30);
}

TEST(Progress, ClearsTheBarForOtherText) {
  PseudoTerminal terminal(80);
  {
    Progress progress(ProgressMode::automatic, "train", 1);
    progress.update(1);
    terminal.written();
    clear_bar();
    EXPECT_EQ(terminal.written(), "\r\x1b[K");
    clear_bar();
    EXPECT_EQ(terminal.written(), "");
    progress.update(1);
    terminal.written();
  }
  EXPECT_EQ(terminal.written(), "\r\n");  // the last bar stays, as the terminal shows "\n"
}

TEST(Progress, WritesPlainLinesToATerminalThatCannotRedraw) {
  PseudoTerminal terminal(80, "dumb");
  Progress(ProgressMode::automatic, "train", 2).update(2);
  const std::string text = terminal.written();
  EXPECT_TRUE(text.starts_with("train 2/2: ")) << text;
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

TEST(Progress, LivesOnWhenNobodyCanReadIt) {
  const int kept = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  dup2(full, STDERR_FILENO);
  for (const ProgressMode mode : {ProgressMode::automatic, ProgressMode::bar, ProgressMode::json}) {
    Progress progress(mode, "train", 1);
    EXPECT_NO_THROW(progress.update(1));
  }
  dup2(kept, STDERR_FILENO);
  close(full), close(kept);
}

TEST(Progress, NoneIsSilent) {
  testing::internal::CaptureStderr();
  Progress(ProgressMode::none, "train", 2).update(2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace baton
