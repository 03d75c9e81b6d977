#include "engine/train/vae_trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/model_config.h"
#include "engine/io/stored_parameters.h"
#include "engine/ops/elementwise.h"
#include "engine/train/vae_loss.h"
#include "engine/train/vae_report.h"
#include "tests/train/training_fixture.h"

namespace baton {
namespace {

using namespace test;

Tensor random_tensor(const Shape& shape, uint64_t stream) {
  const Tensor t = Tensor::empty(shape);
  random_normal({t.data<float>(), static_cast<size_t>(t.numel())}, 6, stream);
  return t;
}

TEST(VaeLoss, IsTheSumOfItsTerms) {
  const int64_t batch = 2, side = 5, planes = batch * 3;
  const Tensor picture = random_tensor({batch, 3, 1, side, side}, 0), made = random_tensor(picture.shape(), 1);
  const WanVae::Posterior posterior{random_tensor({batch, 4, 1, 2, 2}, 2), random_tensor({batch, 4, 1, 2, 2}, 3)};
  const VaeLoss loss = vae_loss(picture, made, posterior, {.l1 = 1, .mse = 4, .gradient = 0.5, .kl = 0.1});

  const auto a = picture.to_vector(), b = made.to_vector();
  const auto error = [&](int64_t plane, int64_t y, int64_t x) {
    const int64_t at = (plane * side + y) * side + x;
    return static_cast<double>(b[at]) - a[at];
  };
  double l1 = 0, mse = 0, gradient = 0, kl = 0;
  for (int64_t p = 0; p < planes; ++p)
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x) {
        l1 += std::abs(error(p, y, x)) / (planes * side * side);
        mse += std::pow(error(p, y, x), 2) / (planes * side * side);
        const double differences = planes * side * (side - 1);
        if (y > 0) gradient += std::abs(error(p, y, x) - error(p, y - 1, x)) / differences;
        if (x > 0) gradient += std::abs(error(p, y, x) - error(p, y, x - 1)) / differences;
      }
  const auto mean = posterior.mean.to_vector(), logvar = posterior.logvar.to_vector();
  for (size_t i = 0; i < mean.size(); ++i)
    kl += 0.5 * (mean[i] * mean[i] + std::exp(logvar[i]) - 1 - logvar[i]) / static_cast<double>(mean.size());
  EXPECT_NEAR(loss.l1.item(), l1, 1e-5);
  EXPECT_NEAR(loss.mse.item(), mse, 1e-5);
  EXPECT_NEAR(loss.gradient.item(), gradient, 1e-5);
  EXPECT_NEAR(loss.kl.item(), kl, 1e-5);
  EXPECT_NEAR(loss.total.item(), l1 + 4 * mse + 0.5 * gradient + 0.1 * kl, 1e-4);
}

TEST(VaeTrainer, LearnsToReconstruct) {
  RandomPictures data;
  TrainConfig config = tiny_vae();
  config.steps = 40;
  config.optimizer.adamw.lr = 5e-3;
  config.schedule.floor = 1;
  VaeTrainer trainer(config, data, DType::f32);
  MetricMeans first, last;
  for (int64_t step = 0; step < config.steps; ++step) {
    MetricMeans other;
    trainer.step(step, step < 10 ? first : step < 30 ? other : last);
  }
  EXPECT_LT(last.mean("loss"), 0.9 * first.mean("loss"));
}

TEST(VaeTrainer, GoesOnBitForBit) {
  const Scratch scratch;
  RandomPictures data;
  const TrainConfig config = tiny_vae();
  VaeTrainer whole(config, data, DType::f32), first(config, data, DType::f32), second(config, data, DType::f32);
  MetricMeans means;
  for (int64_t step = 0; step < 6; ++step) whole.step(step, means);
  for (int64_t step = 0; step < 3; ++step) first.step(step, means);
  second.load(scratch.path(), reader_of(first.save(scratch.path())));
  for (int64_t step = 3; step < 6; ++step) second.step(step, means);
  expect_equal(whole.state().parameters(), second.state().parameters());
  expect_equal(whole.state().optimizer_state(), second.state().optimizer_state());
}

TEST(VaeTrainer, WritesAModelWithItsStatistics) {
  const Scratch scratch;
  RandomPictures data;
  const TrainConfig config = tiny_vae();
  VaeTrainer trainer(config, data, DType::f32);
  MetricMeans means;
  trainer.step(0, means);
  const Path folder = scratch.path() / "model";
  trainer.write_model(folder, "");

  const WanVaeConfig stored = read_wan_vae_config(folder / "config.json");
  TensorStore store(folder);
  StoredParameters parameters(store);
  const WanVae vae(stored, parameters, DType::f32);
  parameters.finish();
  std::vector<int64_t> all(data.size());
  for (int64_t i = 0; i < data.size(); ++i) all[i] = i;
  const Tensor latents = vae.normalize(vae.encode(data.items(all)).mean);  // [5, 4, 1, 4, 4]
  for (int64_t channel = 0; channel < 4; ++channel) {
    double sum = 0, square = 0;
    for (int64_t item = 0; item < 5; ++item)
      for (int64_t i = 0; i < 16; ++i) {
        const double value = latents.data<float>()[(item * 4 + channel) * 16 + i];
        sum += value / 80;
        square += value * value / 80;
      }
    EXPECT_NEAR(sum, 0, 1e-4);
    EXPECT_NEAR(square, 1, 1e-3);
  }
  const Json report = read_json(folder / "psnr.json");
  EXPECT_EQ(report["pictures"].size(), 5u);
  double error = 0;
  for (double each : report["pictures"]) error += 4 * std::pow(10, -each / 10) / 5;
  EXPECT_NEAR(report["psnr"].get<double>(), 10 * std::log10(4 / error), 1e-6);
}

}  // namespace
}  // namespace baton
