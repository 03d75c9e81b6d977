#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/train/denoiser_trainer.h"
#include "tests/train/training_fixture.h"

// A training that is killed at random points and started again ends with the very same bytes as one that ran through.
namespace baton {
namespace {

using namespace test;

constexpr const char* folder_variable = "BATON_KILL_TEST_FOLDER";
constexpr int64_t steps = 30;

TrainConfig config_in(const Path& folder) {
  TrainConfig config = tiny_denoiser();
  config.steps = steps;
  config.experts = {.count = 2, .boundaries = {0.5}, .branch_at = 12};
  config.checkpoint.folder = folder;
  config.checkpoint.every = 2;
  config.validation.every = 10;
  return config;
}

// The model's other parts do not exist here.
class WithoutModel : public DenoiserTrainer {
 public:
  using DenoiserTrainer::DenoiserTrainer;
  void write_model(const Path&, const Path&) override {}
};

// What the killed process runs.
TEST(Kill, DISABLED_Child) {
  const char* folder = std::getenv(folder_variable);
  ASSERT_TRUE(folder);
  RandomLatents data;
  const TrainConfig config = config_in(folder);
  WithoutModel trainer(config, data, DType::f32);
  const std::atomic<bool> stop{false};
  run_loop(trainer, config, ProgressMode::none, stop);
}

pid_t start_child(const Path& folder) {
  setenv(folder_variable, folder.c_str(), 1);
  const char* arguments[] = {"test_train", "--gtest_filter=Kill.DISABLED_Child", "--gtest_also_run_disabled_tests",
                             "--gtest_brief=1", nullptr};
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  return child;
}

// Exit code, or minus the signal that ended it.
int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<Json> metrics_of(const Path& folder) {
  std::vector<Json> lines;
  if (!std::filesystem::exists(folder / "metrics.jsonl")) return lines;
  std::istringstream text(read_file(folder / "metrics.jsonl", 1 << 20));
  for (std::string line; std::getline(text, line);) {
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) continue;  // the line that is being written
    json.erase("samples_per_second");
    lines.push_back(std::move(json));
  }
  return lines;
}

// Lets the child take some steps of its own, then kills it in the middle of something. False if it was through before.
bool kill_somewhere(const Path& folder, int round) {
  const size_t before = metrics_of(folder).size();
  const pid_t child = start_child(folder);
  const size_t wanted = before + random_below(4, 1, 2, round);
  while (metrics_of(folder).size() < wanted) {
    if (waitpid(child, nullptr, WNOHANG) != 0) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::microseconds(random_below(40'000, 1, 3, round)));
  kill(child, SIGKILL);
  return wait_for(child) == -SIGKILL;
}

TEST(Kill, ARunThatIsKilledEndsTheSame) {
  const Scratch through, killed;
  ASSERT_EQ(wait_for(start_child(through.path())), 0);
  int kills = 0;
  for (int round = 0; round < 10; ++round) kills += kill_somewhere(killed.path(), round);
  EXPECT_GE(kills, 8);
  ASSERT_EQ(wait_for(start_child(killed.path())), 0);

  // manifests hold the hashes of all files: weights, averages, optimizer state and state.json
  const std::string last = fmt::format("step-{:08}", steps);
  const auto manifest = [&](const Scratch& scratch) {
    Json json = read_json(scratch.path() / last / "manifest.json");
    json["files"].erase("state.json");  // names its folder
    return json;
  };
  const Json expected = manifest(through);
  EXPECT_GE(expected["files"].size(), 9u);
  EXPECT_EQ(manifest(killed), expected);
  const Json state = read_json(killed.path() / last / "state.json");
  EXPECT_EQ(state["trainer"], read_json(through.path() / last / "state.json")["trainer"]);
  EXPECT_EQ(metrics_of(killed.path()), metrics_of(through.path()));
}

}  // namespace
}  // namespace baton
