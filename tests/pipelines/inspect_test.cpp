#include "pipelines/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/io/json.h"
#include "engine/io/png.h"
#include "engine/io/safetensors.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

std::string inspected(const Path& path, bool json) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_inspect({.path = path.string(), .json = json}), exit_done);
  return testing::internal::GetCapturedStdout();
}

// Names and texts of files from strangers: nothing in them reaches the terminal that it would obey.
TEST(Inspect, ShowsTextsOfFilesSafely) {
  const Path folder = Path(testing::TempDir()) / "inspect";
  std::filesystem::create_directories(folder);
  const std::string hostile = "\x1b]0;t\a\u009b2J\u202egnp\nhash: 0";
  const Json record{{"settings", {{"prompt", hostile}}}, {hostile, 1}};
  write_png(folder / "a.png", Image{1, 1, std::vector<uint8_t>(3)}, {{"baton", record.dump()}});
  write_safetensors(folder / "a.safetensors", {{hostile, Tensor::zeros({1})}}, {{"by", hostile}});
  for (const char* name : {"a.png", "a.safetensors"}) {
    const std::string text = inspected(folder / name, false), json = inspected(folder / name, true);
    for (const std::string& shown : {text, json})
      for (const char* obeyed : {"\x1b", "\a", "\u009b", "\u202e"})
        EXPECT_EQ(shown.find(obeyed), std::string::npos) << name << " " << shown;
    EXPECT_THAT(text, testing::HasSubstr("\\u001b]0;t\\u0007\\u009b2J\\u202egnp\\nhash: 0"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("\nhash")));
  }
  EXPECT_EQ(parse_json(inspected(folder / "a.png", true), "json")["settings"]["prompt"], hostile);
}

TEST(Inspect, KnowsPicturesByTheirBytes) {
  const Path folder = Path(testing::TempDir()) / "inspect_bytes";
  std::filesystem::create_directories(folder);
  write_png(folder / "a.png", Image{1, 1, std::vector<uint8_t>(3)}, {{"baton", R"({"seed":7})"}});
  for (const char* name : {"a.PNG", "a", "a.safetensors"}) {
    std::filesystem::copy_file(folder / "a.png", folder / name, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(inspected(folder / name, false), "seed: 7\n") << name;
  }
  write_safetensors(folder / "b.safetensors", {{"weights", Tensor::zeros({1})}});
  std::filesystem::rename(folder / "b.safetensors", folder / "b.png");
  EXPECT_THAT(inspected(folder / "b.png", false), testing::HasSubstr("weights: F32 [1]"));
}

}  // namespace
}  // namespace baton
