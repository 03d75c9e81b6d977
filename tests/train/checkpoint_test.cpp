#include "engine/train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

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

  std::set<std::string> names() {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
    return names;
  }
  // Of the same size, or not.
  void damage(const char* checkpoint, bool same_size) {
    const Path file = folder_ / checkpoint / "state.json";
    write_file(file, same_size ? "[]" : "{} ");
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
  EXPECT_EQ(names(), (std::set<std::string>{"step-00000010", "step-00000020", "step-00000025"}));
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
  EXPECT_EQ(Checkpoints(folder_, 1).latest(), folder_ / "step-00000001");
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

TEST_F(CheckpointTest, DamagedOnesTakeNoPlace) {
  for (const bool same_size : {false, true})
    for (const int64_t keep_every : {0, 6}) {
      SCOPED_TRACE(fmt::format("same size {}, keep_every {}", same_size, keep_every));
      SetUp();
      Checkpoints before(folder_, 9);
      for (int64_t step : {1, 2, 4, 6}) save(before, step);
      damage("step-00000006", same_size);
      Checkpoints checkpoints(folder_, 1, keep_every);
      EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000004");
      save(checkpoints, 5);
      const std::string from = "step-00000004", aside = "step-00000006.damaged";
      EXPECT_EQ(names(), (std::set<std::string>{from, "step-00000005", aside}));
      save(checkpoints, 7);
      EXPECT_EQ(names(), (std::set<std::string>{from, aside, "step-00000007"})) << "goes on from 4";
    }
}

TEST_F(CheckpointTest, DamageBelowTheNewestTakesNoPlaceEither) {
  Checkpoints before(folder_, 9);
  for (int64_t step : {1, 2, 3}) save(before, step);
  damage("step-00000002", false);
  Checkpoints checkpoints(folder_, 3);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000003");
  save(checkpoints, 4);
  EXPECT_EQ(names(),
            (std::set<std::string>{"step-00000001", "step-00000002.damaged", "step-00000003", "step-00000004"}));
}

TEST_F(CheckpointTest, TheOneJustWrittenStaysWhateverIsBeyondIt) {
  Checkpoints checkpoints(folder_, 1);
  save(checkpoints, 6);
  save(checkpoints, 5);
  EXPECT_EQ(names(), (std::set<std::string>{"step-00000005", "step-00000006"}));
}

TEST_F(CheckpointTest, OneStepMayBeDamagedAgainAndAgain) {
  Checkpoints checkpoints(folder_, 2);
  save(checkpoints, 1);
  for (int round = 0; round < 3; ++round) {
    save(checkpoints, 2);
    fs::remove(folder_ / "step-00000002" / (round == 1 ? "state.json" : "manifest.json"));
    if (round != 2) EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000001");
  }
  save(checkpoints, 2);  // without a search before
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000002");
  EXPECT_EQ(names(), (std::set<std::string>{"step-00000001", "step-00000002", "step-00000002.damaged",
                                            "step-00000002.damaged-2", "step-00000002.damaged-3"}));
}

TEST_F(CheckpointTest, WhatOthersPutThereStays) {
  fs::create_directories(folder_ / "step-00000003");
  fs::create_directories(folder_ / "step-00000009");
  write_file(folder_ / "step-00000009" / "notes.txt", "mine");
  fs::create_directories(folder_ / "step-7");
  write_file(folder_ / "step-7" / "manifest.json", "{}");
  write_file(folder_ / "step-00000008", "a file");
  fs::create_symlink("step-00000005", folder_ / "step-00000005");  // leads to itself
  fs::create_symlink("nowhere", folder_ / "step-00000001");
  const std::set<std::string> foreign = names();
  Checkpoints checkpoints(folder_, 1);
  EXPECT_FALSE(checkpoints.latest());
  for (int64_t step : {2, 4}) save(checkpoints, step);
  std::set<std::string> expected = foreign;
  expected.insert("step-00000004");
  EXPECT_EQ(names(), expected);
  for (int64_t step : {5, 8, 9}) save(checkpoints, step);
  EXPECT_EQ(checkpoints.latest(), folder_ / "step-00000009");
  EXPECT_TRUE(fs::is_symlink(folder_ / "step-00000005.damaged"));
  EXPECT_TRUE(fs::is_regular_file(folder_ / "step-00000008.damaged"));
  EXPECT_TRUE(fs::exists(folder_ / "step-00000009.damaged" / "notes.txt"));
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
