#include "engine/train/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "engine/core/error.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = Path(testing::TempDir()) / "baton_checkpoint_test";
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void save(Checkpoints& checkpoints, int64_t step) {
    checkpoints.save(step, [&](const Path& folder) {
      fs::create_directory(folder / "vae");
      write_file(folder / "vae" / "weights.bin", "weights of step " + std::to_string(step));
      write_file(folder / "state.json", "{}");
    });
  }

  Path folder_;
};

TEST_F(CheckpointTest, NothingThereIsNoCheckpoint) { EXPECT_FALSE(Checkpoints(folder_, 2).latest()); }

TEST_F(CheckpointTest, KeepsTheNewest) {
  Checkpoints checkpoints(folder_, 2);
  for (int64_t step : {1, 20, 100}) save(checkpoints, step);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000100");
  EXPECT_TRUE(fs::exists(folder_ / "step-00000020"));
  EXPECT_FALSE(fs::exists(folder_ / "step-00000001"));
}

TEST_F(CheckpointTest, SomeStayForGood) {
  Checkpoints checkpoints(folder_, 1, 10);
  for (int64_t step : {9, 10, 11, 12, 20, 25}) save(checkpoints, step);
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_)) left.push_back(entry.path().filename());
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"step-00000010", "step-00000020", "step-00000025"}));
}

TEST_F(CheckpointTest, PassesOverDamage) {
  Checkpoints checkpoints(folder_, 3);
  for (int64_t step : {1, 2, 3}) save(checkpoints, step);
  const Path newest = folder_ / "step-00000003" / "vae" / "weights.bin";
  fs::resize_file(newest, fs::file_size(newest) - 1);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000002");

  std::string bytes = read_file(folder_ / "step-00000002" / "vae" / "weights.bin", 1000);
  bytes[5] ^= 0x10;
  write_file(folder_ / "step-00000002" / "vae" / "weights.bin", bytes);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000001");

  fs::remove(folder_ / "step-00000001" / "state.json");
  EXPECT_THROW(checkpoints.latest(), InputError);
}

TEST_F(CheckpointTest, FilesOfOthersDoNoHarm) {
  Checkpoints checkpoints(folder_, 1);
  save(checkpoints, 1);
  write_file(folder_ / "step-00000001" / ".DS_Store", "x");
  write_file(folder_ / "step-00000001" / "vae" / ".nfs01", "x");
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000001");
  save(checkpoints, 2);
  EXPECT_FALSE(fs::exists(folder_ / "step-00000001"));
}

// What a kill during the removal of old checkpoints leaves, or one during a save: hidden names, which the next run
// clears.
TEST_F(CheckpointTest, ClearsWhatAKilledRunLeft) {
  Checkpoints checkpoints(folder_, 2);
  save(checkpoints, 3);
  for (const char* left : {".step-00000001.old", ".step-00000004.partial"}) {
    fs::create_directories(folder_ / left / "vae");
    write_file(folder_ / left / "vae" / "weights.bin", "x");
  }
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000003");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(CheckpointTest, ADamagedOneIsReplacedAndOneWithoutManifestMakesRoom) {
  for (const char* lost : {"state.json", "manifest.json"}) {
    SCOPED_TRACE(lost);
    SetUp();
    Checkpoints checkpoints(folder_, 2);
    save(checkpoints, 1);
    save(checkpoints, 2);
    fs::remove(folder_ / "step-00000002" / lost);
    EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000001");
    save(checkpoints, 2);
    EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000002");
  }
  EXPECT_TRUE(fs::exists(folder_ / "step-00000002.damaged" / "state.json")) << "of what has no manifest";
}

TEST_F(CheckpointTest, AFailedSaveLeavesTheOldOne) {
  Checkpoints checkpoints(folder_, 2);
  save(checkpoints, 1);
  EXPECT_THROW(checkpoints.save(2, [](const Path&) { fail_run("disk full"); }), RunError);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000001");
  EXPECT_FALSE(fs::exists(folder_ / "step-00000002"));
}

}  // namespace
}  // namespace baton
