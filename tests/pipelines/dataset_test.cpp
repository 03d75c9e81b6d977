#include "pipelines/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/png.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

using testing::HasSubstr;

class DatasetReport : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    add("a.png", 16, 8);
    add("b.png", 32, 32);
    add("c.png", 32, 32);
    write_file(
        folder_ / "metadata.jsonl",
        "{\"file_name\": \"a.png\", \"text\": \"a longer é\"}\n"
        "{\"file_name\": \"b.png\", \"captions\": [{\"tags\": [\"x\", \"y\"], \"weight\": 3}, {\"text\": \"\"}]}\n"
        "{\"file_name\": \"c.png\", \"text\": \"c\", \"weight\": 0.5, \"source\": \"web\"}\n");
    config_.data.folder = folder_.string();
    config_.data.size = 16;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void add(const char* name, int64_t width, int64_t height) {
    write_png(folder_ / name, {width, height, std::vector<uint8_t>(width * height * 3)});
  }
  std::string run(int expected) {
    testing::internal::CaptureStdout();
    const int code = run_dataset(config_);
    const std::string out = testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, expected);
    return out;
  }

  Path folder_ = Path(testing::TempDir()) / "dataset_report";
  DatasetReportConfig config_;
};

TEST_F(DatasetReport, Counts) {
  config_.json = true;
  const Json report = parse_json(run(exit_done), "report");
  const Json& pictures = report["pictures"];
  EXPECT_EQ(pictures["readable"], 3);
  EXPECT_EQ(pictures["different"], 1);  // all black
  EXPECT_EQ(pictures["smaller_than_size"], 1);
  EXPECT_EQ(pictures["cut_off_most"], 0.5);
  EXPECT_EQ(pictures["worst_crops"], Json::array({"50.0 % of metadata.jsonl:1 (16x8)"}));
  EXPECT_EQ(pictures["sizes"][0], (Json{{"size", "32x32"}, {"pictures", 2}}));
  EXPECT_EQ(report["captions"]["alternatives"], 4);
  EXPECT_EQ(report["captions"]["longest"], "a longer é");
  EXPECT_DOUBLE_EQ(report["captions"]["empty_share"], 0.25 / 2.5);
  EXPECT_EQ(report["draws"]["epoch"], 2);
  EXPECT_EQ(report["notes"][0], "key 'source' on 1 lines: not used");
}

TEST_F(DatasetReport, PrintsForPeople) {
  const std::string out = run(exit_done);
  EXPECT_THAT(out, HasSubstr("pictures  3: 3 readable, 1 different\n"));
  EXPECT_THAT(out, HasSubstr("sizes     2 of 32x32, 1 of 16x8\n"));
  EXPECT_THAT(out, HasSubstr("captions  4, 4 different; 10.0 % of draws have an empty one\n"));
}

TEST_F(DatasetReport, LeavesOutWhatCannotBeReadIfToldSo) {
  write_file(folder_ / "b.png", "broken");
  config_.data.skip_unreadable = true;
  const std::string out = run(exit_done);
  EXPECT_THAT(out, HasSubstr("pictures  2: 2 readable"));
  EXPECT_THAT(out, HasSubstr("left out: metadata.jsonl:2: "));
}

TEST_F(DatasetReport, ListsProblems) {
  write_file(folder_ / "b.png", "broken");
  EXPECT_THAT(run(exit_bad_input), HasSubstr("problems\n  metadata.jsonl:2: "));
  config_.data.folder += "/nowhere";
  EXPECT_THROW(run_dataset(config_), InputError);
}

}  // namespace
}  // namespace baton
