#include "engine/train/loop.h"

#include <gmock/gmock.h>
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
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

class LoopTest : public testing::Test {
 protected:
  LoopTest() { config_.checkpoint.folder = folder_; }
  Outcome run(Counter& trainer) { return run_loop(trainer, config_, ProgressMode::none, stop_); }
  // Of a new run in the same folder; empty: it goes on.
  std::string refusal() {
    try {
      Counter second;
      run(second);
      return {};
    } catch (const InputError& error) {
      return error.what();
    }
  }

  const Scratch scratch_;
  const Path folder_ = scratch_.path();
  TrainConfig config_ = tiny_vae();
  std::atomic<bool> stop_{false};
};

TEST_F(LoopTest, WritesMetricsValidationsCheckpointsAndTheModel) {
  config_.steps = 10;
  config_.log_every = 4;
  config_.validation.every = 5;
  config_.checkpoint.every = 3;
  Counter trainer;
  EXPECT_EQ(run(trainer), Outcome::finished);
  EXPECT_EQ(read_file(folder_ / "model", 100), "10");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "step-00000009"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "step-00000010"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "step-00000006"));
  const auto lines = lines_of(folder_ / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 5u);  // steps 4, 5 (validation), 8, 10, 10 (validation)
  EXPECT_NEAR(lines[0]["loss"].get<double>(), (1 + 1 / 2. + 1 / 3. + 1 / 4.) / 4, 1e-9);
  EXPECT_EQ(lines[0]["samples"], 8);
  EXPECT_EQ(lines[1]["validation"]["loss"], 5);
  EXPECT_EQ(lines[3]["step"], 10);
}

TEST_F(LoopTest, StopsAndGoesOn) {
  config_.steps = 10;
  Counter first, second;
  first.stop = &stop_;
  first.stop_at = 4;
  EXPECT_EQ(run(first), Outcome::interrupted);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "model"));
  stop_ = false;
  config_.steps = 12;  // a run may be made longer
  EXPECT_EQ(run(second), Outcome::finished);
  EXPECT_EQ(read_file(folder_ / "model", 100), "12");
  const auto lines = lines_of(folder_ / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 12u);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i]["samples"], 2 * (i + 1));
}

// To fewer steps than a damaged checkpoint has, with a single place for checkpoints.
TEST_F(LoopTest, GoesOnBeforeADamagedCheckpoint) {
  config_.steps = 6;
  config_.checkpoint.every = 2;
  Counter first, second, third;
  run(first);
  write_file(folder_ / "step-00000006" / "state.json", "{}");
  config_.steps = 5;
  config_.checkpoint.keep = 1;
  EXPECT_EQ(run(second), Outcome::finished);
  EXPECT_EQ(read_file(folder_ / "model", 100), "5");
  config_.steps = 7;
  EXPECT_EQ(run(third), Outcome::finished);
  EXPECT_EQ(read_file(folder_ / "model", 100), "7");
}

TEST_F(LoopTest, RefusesACheckpointOfAnotherRun) {
  Counter first;
  run(first);
  const TrainConfig made_with = config_;
  const auto refusal_of = [&](auto&& change) {
    config_ = made_with;
    change(config_);
    return refusal();
  };
  const std::string where = (folder_ / "step-00000006" / "state.json").string();
  EXPECT_EQ(refusal_of([](TrainConfig& c) { c.vae.base_dim = 12; }),
            where +
                ": this checkpoint was made with model.base_dim 8, the config has 12; choose another "
                "checkpoint.folder");
  EXPECT_THAT(refusal_of([](TrainConfig& c) { c.data.background = "#000000"; }),
              HasSubstr(R"(made with data.background "#ffffff", the config has "#000000";)"));
  EXPECT_THAT(refusal_of([](TrainConfig& c) { c.kind = TrainKind::denoiser; }),
              HasSubstr("made with kind vae, the config has denoiser;"));
}

TEST_F(LoopTest, SavesWhatWasLearntWhenDataAreLost) {
  config_.steps = 10;
  Counter first;
  first.lost_at = 7;
  EXPECT_THROW(run(first), LostData);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "step-00000007"));
}

// Whatever stands in it, a damaged state.json is the user's to mend: file and key are named.
TEST_F(LoopTest, RefusesADamagedState) {
  config_.steps = 2;
  Counter first;
  run(first);
  const Path checkpoint = folder_ / "step-00000002";
  const Json intact = read_json(checkpoint / "state.json");
  const auto expect_refusal = [&](const std::string& key, const Json& value) {
    SCOPED_TRACE(key + " " + value.dump());
    Json state = intact;
    state[key] = value;
    if (value.is_discarded()) state.erase(key);
    AtomicDirectory folder(checkpoint);
    write_json(folder.path() / "state.json", state);
    folder.commit();
    EXPECT_THAT(refusal(), AllOf(HasSubstr("state.json: "), HasSubstr(key), Not(HasSubstr("json.exception"))));
  };
  for (const char* key : {"step", "samples", "config", "trainer"})
    for (const Json& value : {Json("x"), Json(1.5), Json(-5), Json::array(), Json(int64_t{1} << 62), Json(nullptr),
                              Json(Json::value_t::discarded)}) {
      if (value == "x" && std::string(key) == "config") continue;  // a config without keys
      expect_refusal(key, value);
    }
  expect_refusal("step", 1);  // not that of the folder
}

}  // namespace
}  // namespace baton
