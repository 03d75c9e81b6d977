#include "engine/train/loop.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/directory.h"
#include "engine/io/file.h"
#include "engine/io/mapped_file.h"
#include "tests/train/training_fixture.h"

namespace baton {
namespace {

using namespace test;

// Saves what it counted. Stops the run, or the process, in a given step.
class Counter : public Trainer {
 public:
  int64_t step(int64_t step, MetricMeans& means) override {
    EXPECT_EQ(step, count);
    ++count;
    means.add("loss", 1.0 / static_cast<double>(count));
    if (count == stop_at) *stop = true;
    if (step == lost_at) throw LostData("latents: became shorter");
    return 2;
  }
  Json validate() override { return {{"loss", count}}; }
  Json save(const Path&) const override { return {{"count", count}}; }
  void load(const Path&, JsonReader state) override { count = state.required<int64_t>("count"); }
  void write_model(const Path& folder, const Path&) override { write_file(folder, std::to_string(count)); }

  int64_t count = 0, stop_at = -1, lost_at = -1;
  std::atomic<bool>* stop = nullptr;
};

std::vector<Json> lines_of(const Path& path) {
  std::vector<Json> lines;
  std::istringstream text(read_file(path, 1 << 20));
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST(Loop, WritesMetricsValidationsCheckpointsAndTheModel) {
  const Scratch scratch;
  TrainConfig config = tiny_vae();
  config.steps = 10;
  config.log_every = 4;
  config.validation.every = 5;
  config.checkpoint.folder = scratch.path();
  config.checkpoint.every = 3;
  Counter trainer;
  const std::atomic<bool> stop{false};
  EXPECT_EQ(run_loop(trainer, config, ProgressMode::none, stop), Outcome::finished);
  EXPECT_EQ(read_file(scratch.path() / "model", 100), "10");
  EXPECT_TRUE(std::filesystem::exists(scratch.path() / "step-00000009"));
  EXPECT_TRUE(std::filesystem::exists(scratch.path() / "step-00000010"));
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "step-00000006"));
  const auto lines = lines_of(scratch.path() / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 5u);  // steps 4, 5 (validation), 8, 10, 10 (validation)
  EXPECT_NEAR(lines[0]["loss"].get<double>(), (1 + 1 / 2. + 1 / 3. + 1 / 4.) / 4, 1e-9);
  EXPECT_EQ(lines[0]["samples"], 8);
  EXPECT_EQ(lines[1]["validation"]["loss"], 5);
  EXPECT_EQ(lines[3]["step"], 10);
}

TEST(Loop, StopsAndGoesOn) {
  const Scratch scratch;
  TrainConfig config = tiny_vae();
  config.steps = 10;
  config.checkpoint.folder = scratch.path();
  std::atomic<bool> stop{false};
  Counter first;
  first.stop = &stop;
  first.stop_at = 4;
  EXPECT_EQ(run_loop(first, config, ProgressMode::none, stop), Outcome::interrupted);
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "model"));
  stop = false;
  Counter second;
  config.steps = 12;  // a run may be made longer
  EXPECT_EQ(run_loop(second, config, ProgressMode::none, stop), Outcome::finished);
  EXPECT_EQ(read_file(scratch.path() / "model", 100), "12");
  const auto lines = lines_of(scratch.path() / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 12u);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i]["samples"], 2 * (i + 1));
}

TEST(Loop, RefusesACheckpointOfAnotherRun) {
  const Scratch scratch;
  TrainConfig config = tiny_vae();
  config.checkpoint.folder = scratch.path();
  const std::atomic<bool> stop{false};
  Counter first, second;
  run_loop(first, config, ProgressMode::none, stop);
  config.vae.base_dim = 12;
  try {
    run_loop(second, config, ProgressMode::none, stop);
    FAIL() << "a checkpoint of another model was taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("base_dim: 12"), std::string::npos) << error.what();
  }
}

TEST(Loop, SavesWhatWasLearntWhenDataAreLost) {
  const Scratch scratch;
  TrainConfig config = tiny_vae();
  config.steps = 10;
  config.checkpoint.folder = scratch.path();
  const std::atomic<bool> stop{false};
  Counter first;
  first.lost_at = 7;
  EXPECT_THROW(run_loop(first, config, ProgressMode::none, stop), LostData);
  EXPECT_TRUE(std::filesystem::exists(scratch.path() / "step-00000007"));
}

// Whatever stands in it, a damaged state.json is the user's to mend: file and key are named.
TEST(Loop, RefusesADamagedState) {
  const Scratch scratch;
  TrainConfig config = tiny_vae();
  config.steps = 2;
  config.checkpoint.folder = scratch.path();
  const std::atomic<bool> stop{false};
  Counter first;
  run_loop(first, config, ProgressMode::none, stop);
  const Path checkpoint = scratch.path() / "step-00000002";
  const Json intact = read_json(checkpoint / "state.json");
  const auto refused = [&](const std::string& key, const Json& value) {
    Json state = intact;
    state[key] = value;
    if (value.is_discarded()) state.erase(key);
    AtomicDirectory folder(checkpoint);
    write_json(folder.path() / "state.json", state);
    folder.commit();
    Counter second;
    try {
      run_loop(second, config, ProgressMode::none, stop);
    } catch (const InputError& error) {
      const std::string message = error.what();
      return message.find("state.json: ") != message.npos && message.find(key) != message.npos &&
             message.find("json.exception") == message.npos;
    }
    return false;
  };
  for (const char* key : {"step", "samples", "config", "trainer"})
    for (const Json& value : {Json("x"), Json(1.5), Json(-5), Json::array(), Json(int64_t{1} << 62), Json(nullptr),
                              Json(Json::value_t::discarded)}) {
      if (value == "x" && std::string(key) == "config") continue;  // a config without keys
      EXPECT_TRUE(refused(key, value)) << key << " " << value;
    }
  EXPECT_TRUE(refused("step", 1)) << "not that of the folder";
}

}  // namespace
}  // namespace baton
