#include "engine/train/denoiser_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/models/text_states.h"
#include "engine/ops/elementwise.h"
#include "engine/train/random_streams.h"
#include "tests/train/training_fixture.h"

namespace baton {
namespace {

using namespace test;

void expect_same_state(const DenoiserTrainer& a, const DenoiserTrainer& b) {
  ASSERT_EQ(a.experts(), b.experts());
  const auto compare = [](const Trainee& x, const Trainee& y) {
    expect_equal(x.parameters(), y.parameters());
    expect_equal(x.averages(), y.averages());
    expect_equal(x.optimizer_state(), y.optimizer_state());
  };
  compare(a.text_encoder(), b.text_encoder());
  for (int i = 0; i < a.experts(); ++i) compare(*a.expert(i), *b.expert(i));
}

TEST(DenoiserTrainer, LearnsAFixedBatch) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.steps = 60;
  config.experts = {};
  DenoiserTrainer trainer(config, data, DType::f32);
  MetricMeans means;
  const double before = trainer.validate()["loss"];
  for (int64_t step = 0; step < config.steps; ++step) EXPECT_EQ(trainer.step(step, means), 8);
  EXPECT_LT(trainer.validate()["loss"].get<double>(), 0.95 * before);
}

TEST(DenoiserTrainer, BranchCopiesEverything) {
  RandomLatents data;
  const TrainConfig config = tiny_denoiser();
  DenoiserTrainer trainer(config, data, DType::f32), twin(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 5; ++step) {
    trainer.step(step, means);
    EXPECT_EQ(trainer.experts(), 1);
    twin.step(step, means);
  }
  trainer.step(5, means);
  ASSERT_EQ(trainer.experts(), 3);
  EXPECT_EQ(trainer.ranges().count(), 3);
  for (int i = 0; i < 3; ++i) {
    // one update after the branch: number 6 of each
    EXPECT_EQ(*find(trainer.expert(i)->optimizer_state(), "steps").data<int64_t>(), 6);
    const Parameters &now = trainer.expert(i)->parameters(), &before = twin.expert(0)->parameters();
    ASSERT_EQ(now.size(), before.size());
    double moved = 0, size = 0;
    for (size_t k = 0; k < now.size(); ++k) {
      const auto a = now[k].value.to_vector(), b = before[k].value.to_vector();
      for (size_t j = 0; j < a.size(); ++j) moved += std::pow(a[j] - b[j], 2), size += std::pow(b[j], 2);
    }
    EXPECT_GT(moved, 0);
    EXPECT_LT(moved, 0.01 * size) << "expert " << i << " did not start from the shared weights";
  }
  EXPECT_NE(trainer.expert(0)->parameters()[0].value.to_vector(), trainer.expert(1)->parameters()[0].value.to_vector());
}

TEST(DenoiserTrainer, EveryExpertGetsItsShare) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.boundaries = {0.9, 0.5};
  DenoiserTrainer trainer(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 5; ++step) trainer.step(step, means);
  means.take();
  for (int64_t step = 5; step < 45; ++step) trainer.step(step, means);
  const auto metrics = means.take();
  double sum = 0;
  for (const char* name : {"transformer", "transformer_2", "transformer_3"}) {
    // less than one sample of each batch of 8 away from the plan, on average far less
    EXPECT_NEAR(metrics.at("share." + std::string(name)), metrics.at("planned_share." + std::string(name)), 0.02);
    sum += metrics.at("share." + std::string(name));
    EXPECT_GT(metrics.at("loss." + std::string(name)), 0);
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_NEAR(metrics.at("planned_share.transformer_3"), 0.5, 1e-9);
}

TEST(DenoiserTrainer, ExpertsTakeTurns) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.boundaries = {0.9, 0.5};
  config.experts.turns = true;
  DenoiserTrainer trainer(config, data, DType::f32);
  const char* names[] = {"transformer", "transformer_2", "transformer_3"};
  std::vector<int64_t> turns(3);
  for (int64_t step = 0; step < 65; ++step) {
    MetricMeans means;
    EXPECT_EQ(trainer.step(step, means), 8);
    if (step < 5) continue;
    const auto metrics = means.take();
    for (int i = 0; i < 3; ++i) {
      const double share = metrics.at("share." + std::string(names[i]));
      EXPECT_TRUE(share == 0 || share == 1) << share;
      turns[i] += share == 1;
      EXPECT_NEAR(turns[i], metrics.at("planned_share." + std::string(names[i])) * (step - 4.0), 1.5);
    }
  }
  for (int i = 0; i < 3; ++i)  // and those whose turn it is not are left as they are
    EXPECT_EQ(*find(trainer.expert(i)->optimizer_state(), "steps").data<int64_t>(), 5 + turns[i]);
}

// One pass over a batch of all experts gives each the gradient that its samples give one at a time.
TEST(DenoiserTrainer, HardGateIsEachSampleAlone) {
  RandomLatents data;
  const TrainConfig config = tiny_denoiser();
  RandomParameters random(3);
  const T5Encoder text(config.denoiser.text_encoder, random, DType::f32);
  std::vector<std::unique_ptr<WanTransformer>> experts;
  Mixture mixture{&text, {}, ExpertRanges({0.7, 0.3}), config.denoiser.max_tokens};
  for (int i = 0; i < 3; ++i) {
    RandomParameters source(10 + i);
    experts.push_back(std::make_unique<WanTransformer>(config.denoiser.transformer, source, DType::f32));
    mixture.experts.push_back(experts.back().get());
  }
  std::vector<NoisySample> batch;
  for (int64_t i = 0; i < 7; ++i)
    batch.push_back({data.sample(i), std::vector{0.1, 0.9, 0.3, 0.7, 0.69, 0.95, 0.05}[i],
                     random_stream(RandomUse::training_noise, i)});
  const auto all_parameters = [&] {
    Parameters all = text.parameters();
    for (const auto& expert : experts)
      for (const Parameter& p : expert->parameters()) all.push_back(p);
    return all;
  };
  const auto train_on = [&](std::span<const NoisySample> samples, std::vector<float>& losses) {
    GatedBatch pass(mixture, samples, samples[0].picture.latents.shape(), 9, 1.0f / 7);
    backward(pass.forward(0, {}));
    pass.after_backward();
    std::vector<std::pair<int64_t, float>> found;
    for (const ExpertLoss& part : pass.losses_seen())
      for (size_t i = 0; i < part.losses.size(); ++i) found.emplace_back(part.samples[i], part.losses[i]);
    std::sort(found.begin(), found.end());
    for (const auto& [index, value] : found) losses.push_back(value);
  };

  std::vector<float> together, alone;
  train_on(batch, together);
  std::vector<std::vector<float>> gradients;
  for (Parameter& p : all_parameters()) {
    ASSERT_TRUE(p.value.grad()) << p.name;
    gradients.push_back(p.value.grad().to_vector());
    p.value.clear_grad();
  }
  for (size_t i = 0; i < batch.size(); ++i) train_on(std::span(batch).subspan(i, 1), alone);
  for (size_t i = 0; i < batch.size(); ++i) EXPECT_NEAR(alone[i], together[i], 1e-5 * together[i]);
  const Parameters parameters = all_parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    const auto expected = parameters[k].value.grad().to_vector();
    double difference = 0, norm = 1e-10;
    for (size_t i = 0; i < expected.size(); ++i) {
      difference += std::pow(expected[i] - gradients[k][i], 2);
      norm += std::pow(expected[i], 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-4) << parameters[k].name;
  }
}

TEST(DenoiserTrainer, MicroBatchesAddUp) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  DenoiserTrainer whole(config, data, DType::f32);
  config.micro_batch = 2;
  DenoiserTrainer parts(config, data, DType::f32);
  MetricMeans a, b;
  whole.step(0, a);
  parts.step(0, b);
  EXPECT_NEAR(a.mean("loss"), b.mean("loss"), 1e-5);
  EXPECT_NEAR(a.mean("gradient_norm.transformer"), b.mean("gradient_norm.transformer"), 1e-4);
}

TEST(DenoiserTrainer, ExpertsMayHaveABatchOfTheirOwn) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.batch = 12;
  DenoiserTrainer trainer(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 7; ++step) EXPECT_EQ(trainer.step(step, means), step < 5 ? 8 : 12);
}

TEST(DenoiserTrainer, LearningRateFollowsTheSamples) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.batch = 16;
  config.schedule.warmup = 0;
  DenoiserTrainer trainer(config, data, DType::f32);
  for (int64_t step = 0; step < 7; ++step) {
    MetricMeans means;
    trainer.step(step, means);
    const double batches = step < 5 ? step : 5 + 2 * (step - 5);  // of 8 samples; 5 + 2 * 7 in all
    EXPECT_DOUBLE_EQ(means.mean("learning_rate_factor"), 0.5 * (1 + std::cos(std::numbers::pi * batches / 19)));
  }
}

TEST(DenoiserTrainer, LearningRateEndsWithTheTrainingWhenStepsHadAnotherSize) {
  const Scratch scratch;
  RandomLatents data;
  TrainConfig config = tiny_denoiser();  // of 12 steps
  config.schedule.warmup = 0;
  config.experts.batch = 16;
  DenoiserTrainer first(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 7; ++step) first.step(step, means);
  std::filesystem::create_directories(scratch.path());
  const Json state = first.save(scratch.path());

  config.experts.batch = 8;
  DenoiserTrainer second(config, data, DType::f32);
  second.load(scratch.path(), reader_of(state));
  for (int64_t step = 7; step < 12; ++step) {
    means.take();
    second.step(step, means);
    const double batches = 5 + 2 * 2 + (step - 7);  // of 8 samples; 14 in all
    EXPECT_NEAR(means.mean("learning_rate_factor"), 0.5 * (1 + std::cos(std::numbers::pi * batches / 14)), 1e-12);
  }
}

TEST(DenoiserTrainer, ExpertsAreChosenAtTheBranch) {
  const Scratch scratch;
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.batch = 12;
  DenoiserTrainer trainer(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 5; ++step) trainer.step(step, means);
  std::filesystem::create_directories(scratch.path() / "shared");
  std::filesystem::create_directories(scratch.path() / "experts");
  const Json shared = trainer.save(scratch.path() / "shared");
  trainer.step(5, means);
  const Json experts = trainer.save(scratch.path() / "experts");

  config.experts.count = 1;
  DenoiserTrainer single(config, data, DType::f32);
  single.load(scratch.path() / "shared", reader_of(shared));
  EXPECT_EQ(single.step(5, means), 12);
  EXPECT_EQ(single.experts(), 1);
  EXPECT_THROW(single.load(scratch.path() / "experts", reader_of(experts)), InputError);

  config.experts.count = 3;
  config.experts.boundaries = {0.9, 0.5};
  DenoiserTrainer others(config, data, DType::f32);
  others.load(scratch.path() / "shared", reader_of(shared));
  EXPECT_THROW(others.load(scratch.path() / "experts", reader_of(experts)), InputError);
}

TEST(DenoiserTrainer, GoesOnBitForBit) {
  const Scratch scratch;
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  config.experts.batch = 12;
  MetricMeans means;
  for (const auto& [cut, turns] : {std::pair{3, false}, {5, false}, {8, false}, {8, true}}) {  // 5: at the branch
    config.experts.turns = turns;
    DenoiserTrainer whole(config, data, DType::f32), first(config, data, DType::f32), second(config, data, DType::f32);
    for (int64_t step = 0; step < 10; ++step) whole.step(step, means);
    for (int64_t step = 0; step < cut; ++step) first.step(step, means);
    const Path folder = scratch.path() / fmt::format("{} {}", cut, turns);
    std::filesystem::create_directory(folder);
    second.load(folder, reader_of(first.save(folder)));
    for (int64_t step = cut; step < 10; ++step) second.step(step, means);
    expect_same_state(whole, second);
  }
}

TEST(DenoiserTrainer, ValidationIsAFixedGrid) {
  RandomLatents data;
  const TrainConfig config = tiny_denoiser();
  DenoiserTrainer a(config, data, DType::f32), b(config, data, DType::f32);
  const Json first = a.validate();
  EXPECT_EQ(first, b.validate());
  EXPECT_EQ(first, a.validate());
  EXPECT_EQ(first["bins"].size(), 4u);
  EXPECT_EQ(first["experts"].size(), 3u);
  double mean = 0;
  for (double bin : first["bins"]) mean += bin / 4;
  EXPECT_NEAR(mean, first["loss"].get<double>(), 1e-9);
}

TEST(DenoiserTrainer, RecomputationChangesNothing) {
  RandomLatents data;
  TrainConfig config = tiny_denoiser();
  DenoiserTrainer plain(config, data, DType::f32);
  config.recompute = Recompute::full;
  DenoiserTrainer full(config, data, DType::f32);
  config.recompute = Recompute::selective;
  DenoiserTrainer selective(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 7; ++step)
    for (DenoiserTrainer* trainer : {&plain, &full, &selective}) trainer->step(step, means);
  expect_same_state(plain, full);
  expect_same_state(plain, selective);
}

}  // namespace
}  // namespace baton
