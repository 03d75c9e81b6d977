#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine/comm/local.h"
#include "engine/io/file.h"
#include "engine/train/denoiser_trainer.h"
#include "tests/comm/on_ranks.h"
#include "tests/ops/op_test.h"
#include "tests/train/training_fixture.h"

// Ten training steps on several ranks against the same on one: losses, weights, averages and validation.
namespace baton {
namespace {

using namespace test;

struct Case {
  const char* mesh;
  int zero = 0;
  bool sequence_parallel = false;
  int64_t batch = 8;
  int64_t micro_batch = 0;
  // of a pipeline
  PipelineOrder order = PipelineOrder::one_f_one_b;
  int pieces = 1;
};

Case pipeline(const char* mesh, int64_t micro_batch, PipelineOrder order = PipelineOrder::one_f_one_b, int pieces = 1,
              int zero = 0, bool sequence_parallel = false) {
  return {mesh, zero, sequence_parallel, 8, micro_batch, order, pieces};
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.mesh << " zero " << c.zero << (c.sequence_parallel ? " +sp" : "") << " batch " << c.batch << " micro "
       << c.micro_batch << (c.order == PipelineOrder::gpipe ? " gpipe" : "") << " pieces " << c.pieces;
}

TrainConfig config_of(const Case& c) {
  TrainConfig config = tiny_denoiser();  // branches into three experts before step 5
  config.batch = c.batch;
  config.micro_batch = c.micro_batch;
  config.zero = c.zero;
  if (c.zero == 3) config.recompute = Recompute::full;
  config.pipeline = c.order;
  config.denoiser.transformer.num_layers = 4;
  return config;
}

// With equal loads of the groups of experts.
Layout layout_of(const Case& c, Group& world) {
  const MeshSpec spec = parse_mesh(c.mesh);
  return {world, Mesh(spec, world.size(), std::vector<double>(spec.size(Axis::ep), 1.0)), c.sequence_parallel,
          c.pieces};
}

struct Trained {
  std::vector<double> losses, norms;
  Json before, after;  // validation
  Parameters text_averages;
  std::vector<Parameters> expert_averages;  // empty: another group's
};

Trained ten_steps(const Case& c, const Layout& layout) {
  RandomLatents data;
  DenoiserTrainer trainer(config_of(c), data, DType::f32, layout);
  Trained outcome;
  for (int64_t step = 0; step < 10; ++step) {
    if (step == 4) outcome.before = trainer.validate();
    MetricMeans means;
    trainer.step(step, means);
    outcome.losses.push_back(means.mean("loss"));
    outcome.norms.push_back(means.mean("gradient_norm.text_encoder"));
  }
  outcome.after = trainer.validate();
  outcome.text_averages = trainer.text_encoder().averages();
  for (int i = 0; i < trainer.experts(); ++i)
    outcome.expert_averages.push_back(trainer.expert(i) ? trainer.expert(i)->averages() : Parameters());
  return outcome;
}

void expect_same(const Parameters& mine, const Parameters& one, const Group& tp) {
  if (mine.empty()) return;
  for (const Parameter& p : mine)
    expect_close(p.value, share_of(find(one, p.name), p.shard, tp).to_vector(), 1e-4, p.name.c_str());
}

class ParallelTraining : public testing::TestWithParam<Case> {};

TEST_P(ParallelTraining, IsTrainingOnOneRank) {
  const Case c = GetParam();
  const Trained one = ten_steps(c, {});
  const MeshSpec spec = parse_mesh(c.mesh);
  test::on_ranks(spec.ranks(), [&](Group& world) {
    const Layout layout = layout_of(c, world);
    const Trained mine = ten_steps(c, layout);
    for (size_t i = 0; i < one.losses.size(); ++i) {
      EXPECT_NEAR(mine.losses[i] / one.losses[i], 1, 1e-4) << "step " << i;
      EXPECT_NEAR(mine.norms[i] / one.norms[i], 1, 1e-3) << "step " << i;
    }
    for (const auto& [a, b] : {std::pair{mine.before, one.before}, {mine.after, one.after}})
      EXPECT_NEAR(a["loss"].get<double>() / b["loss"].get<double>(), 1, 1e-4);
    expect_same(mine.text_averages, one.text_averages, alone());
    for (size_t i = 0; i < one.expert_averages.size(); ++i)
      expect_same(mine.expert_averages[i], one.expert_averages[i], layout.on(Axis::tp));
  });
}

INSTANTIATE_TEST_SUITE_P(Meshes, ParallelTraining,
                         testing::Values(Case{"dp=2"}, Case{"dp=2", 1}, Case{"dp=2", 2}, Case{"dp=3", 2},
                                         Case{"dp=2", 3}, Case{"dp=3", 3, false, 8, 4}, Case{"ring=2,dp=2", 3},
                                         Case{"tp=2,dp=2", 3, true}, Case{"ep=1:2", 3}, Case{"dp=3", 3, false, 2},

                                         Case{"dp=2", 0, false, 8, 4}, Case{"dp=2", 2, false, 8, 4},
                                         Case{"dp=3", 1, false, 2},  // ranks without a sample
                                         Case{"tp=2"}, Case{"tp=2", 0, true}, Case{"tp=2,dp=2", 2, true},
                                         Case{"ulysses=2"}, Case{"ring=2,dp=2", 1}, Case{"ep=2"}, Case{"ep=3"},
                                         Case{"ep=3", 0, false, 2}, Case{"ep=1:2"}, Case{"ep=2:1", 1},
                                         Case{"ep=1:2,tp=2", 2, true}, Case{"ep=2,ulysses=2"}));

constexpr auto f1b1 = PipelineOrder::one_f_one_b;
INSTANTIATE_TEST_SUITE_P(Pipelines, ParallelTraining,
                         testing::Values(pipeline("pp=2", 2), pipeline("pp=2", 4, PipelineOrder::gpipe),
                                         pipeline("pp=4", 2), pipeline("pp=2", 2, f1b1, 2),
                                         pipeline("pp=2,dp=2", 4, f1b1, 1, 2),
                                         pipeline("pp=2,tp=2", 4, f1b1, 2, 1, true),
                                         pipeline("pp=2,dp=2,tp=2", 4, f1b1, 1, 2), pipeline("ep=2,pp=2", 1),
                                         pipeline("pp=2,dp=2", 2, f1b1, 2, 3), pipeline("ep=1:2,pp=2", 4, f1b1, 2, 2)));

// What the ranks of a mesh together send in one step of training, by group and kind of collective.
std::map<std::pair<std::string, std::string>, double> traffic_of_a_step(const Case& c, int64_t first_step,
                                                                        std::array<double, 2>& parameters) {
  std::map<std::pair<std::string, std::string>, double> sent;
  std::mutex mutex;
  const MeshSpec spec = parse_mesh(c.mesh);
  run_ranks(spec.ranks(), {}, [&](Group& world) {
    const Layout layout = layout_of(c, world);
    RandomLatents data;
    DenoiserTrainer trainer(config_of(c), data, DType::f32, layout);
    MetricMeans means;
    for (int64_t step = 0; step < first_step; ++step) trainer.step(step, means);
    const Traffic before = world.traffic();
    trainer.step(first_step, means);
    const std::lock_guard lock(mutex);
    parameters = {static_cast<double>(count_elements(trainer.text_encoder().parameters())), 0};
    for (int i = 0; i < trainer.experts(); ++i)
      if (trainer.expert(i)) parameters[1] = static_cast<double>(count_elements(trainer.expert(i)->parameters()));
    for (const auto& [group, kinds] : world.traffic().entries)
      for (const auto& [kind, entry] : kinds) {
        const auto old = before.entries.find(group);
        const double known =
            old == before.entries.end() || !old->second.contains(kind) ? 0 : old->second.at(kind).bytes;
        sent[{group, kind}] += entry.bytes - known;
      }
  });
  return sent;
}

// Gradients of n replicas: an all-reduce of m bytes sends 2 m (n-1) in all, a scattered sum or a gather m (n-1).
TEST(ParallelTrainingTraffic, IsThatOfTheClosedForms) {
  constexpr double f32 = 4, n = 2;
  std::array<double, 2> p;  // parameters of the text encoder and of an expert
  const auto sent = [](auto& traffic, const char* group, const char* kind) { return traffic[{group, kind}]; };
  const char *all = "everyone", *replicas = "replicas", *reduce = "all-reduce", *gather = "all-gather";

  auto plain = traffic_of_a_step({"dp=2", 0}, 1, p);
  EXPECT_DOUBLE_EQ(sent(plain, replicas, reduce), 2 * f32 * p[1] * (n - 1));
  EXPECT_DOUBLE_EQ(sent(plain, all, reduce), 2 * f32 * p[0] * (n - 1));
  EXPECT_DOUBLE_EQ(sent(plain, replicas, gather), 0);

  auto state = traffic_of_a_step({"dp=2", 1}, 1, p);
  EXPECT_DOUBLE_EQ(sent(state, replicas, reduce), 2 * f32 * p[1] * (n - 1));
  EXPECT_DOUBLE_EQ(sent(state, replicas, gather), f32 * p[1] * (n - 1));

  auto gradients = traffic_of_a_step({"dp=2", 2}, 1, p);
  const double norm = 2 * 8 * (n - 1);  // one f64
  EXPECT_DOUBLE_EQ(sent(gradients, replicas, "reduce-scatter"), f32 * p[1] * (n - 1));
  EXPECT_DOUBLE_EQ(sent(gradients, replicas, gather), f32 * p[1] * (n - 1));
  EXPECT_DOUBLE_EQ(sent(gradients, replicas, reduce), norm);

  // Branched experts exchange nothing, each on a rank of its own; the text encoder's gradients go round.
  auto experts = traffic_of_a_step({"ep=3", 0}, 6, p);
  EXPECT_DOUBLE_EQ(sent(experts, replicas, reduce), 0);
  EXPECT_DOUBLE_EQ(sent(experts, all, reduce), 2 * f32 * p[0] * (3 - 1));

  // One stage hands the states on, the other their gradients back: 8 pictures of 4 tokens of 24 channels.
  auto stages = traffic_of_a_step(pipeline("pp=2", 2), 1, p);
  const double losses = 2 * 8 * (n - 1);  // of the one denoiser, f64
  EXPECT_DOUBLE_EQ(sent(stages, "pp", "send"), 2 * f32 * 8 * 4 * 24);
  EXPECT_DOUBLE_EQ(sent(stages, "pp", reduce), losses + 2 * 8 * (n - 1));  // and the norm
}

std::map<std::string, std::string> bytes_of(const Path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] = read_file(entry.path(), 1 << 24);
  return files;
}

// Trains on a mesh from step `begin` to `end`, from a checkpoint if one is named, and saves another.
void train(const Case& c, int64_t begin, int64_t end, const Path& from, const Json& state, const Path& to,
           Json* saved) {
  std::filesystem::create_directories(to);
  const MeshSpec spec = parse_mesh(c.mesh);
  run_ranks(spec.ranks(), {}, [&](Group& world) {
    const Layout layout = layout_of(c, world);
    RandomLatents data;
    DenoiserTrainer trainer(config_of(c), data, DType::f32, layout);
    if (!from.empty()) trainer.load(from, JsonReader::text(state.dump(), "state"));
    MetricMeans means;
    for (int64_t step = begin; step < end; ++step) trainer.step(step, means);
    const Json result = trainer.save(to);
    if (world.rank() == 0 && saved) *saved = result;
  });
}

class CheckpointsOfMeshes : public testing::TestWithParam<std::pair<Case, Case>> {};

TEST_P(CheckpointsOfMeshes, AreTheSameFilesAndGoOn) {
  const auto& [a, b] = GetParam();
  for (const int64_t cut : {3, 7}) {  // before and after the branch
    const Scratch scratch;
    const Path on_a = scratch.path() / "a", on_b = scratch.path() / "b", back = scratch.path() / "back";
    Json state;
    train(a, 0, cut, "", {}, on_a, &state);
    train(b, cut, cut, on_a, state, on_b, nullptr);
    train(a, cut, cut, on_b, state, back, nullptr);
    EXPECT_EQ(bytes_of(on_a), bytes_of(on_b));
    EXPECT_EQ(bytes_of(on_a), bytes_of(back));
    train(a, 0, 9, "", {}, scratch.path() / "whole", nullptr);
    train(a, cut, 9, back, state, scratch.path() / "resumed", nullptr);
    EXPECT_EQ(bytes_of(scratch.path() / "whole"), bytes_of(scratch.path() / "resumed"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, CheckpointsOfMeshes,
    testing::Values(std::pair{Case{"dp=1"}, Case{"dp=2", 2}}, std::pair{Case{"dp=3", 1}, Case{"tp=2"}},
                    std::pair{Case{"tp=2"}, Case{"tp=2,ring=2"}}, std::pair{Case{"tp=2", 2, true}, Case{"ep=3"}},
                    std::pair{Case{"ep=1:2", 1}, Case{"tp=2,dp=2", 2}}, std::pair{Case{"ep=2", 0}, Case{"dp=1"}},
                    std::pair{Case{"ulysses=2", 1}, Case{"ring=3", 2}},
                    std::pair{Case{"ring=2,tp=2", 2, true}, Case{"dp=2", 0}},
                    std::pair{Case{"dp=2", 2}, Case{"ep=2:1", 2}},
                    std::pair{Case{"ulysses=2,tp=2", 1}, Case{"ulysses=4", 2}},
                    std::pair{pipeline("pp=2", 4), Case{"dp=2", 3}},
                    std::pair{pipeline("pp=2,tp=2", 2, f1b1, 2, 2, true), pipeline("ep=2,pp=2", 4, f1b1, 1, 1)}));

}  // namespace
}  // namespace baton
