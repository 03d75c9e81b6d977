#include "engine/train/vae_trainer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/random.h"
#include "engine/io/directory.h"
#include "engine/io/model_config.h"
#include "engine/ops/elementwise.h"
#include "engine/train/random_streams.h"
#include "engine/train/schedule.h"
#include "engine/train/vae_loss.h"
#include "engine/train/vae_report.h"
#include "engine/train/write_pipeline.h"

namespace baton {
namespace {

// mean + exp(logvar / 2) noise, with each sample's own noise.
Tensor sample_posterior(const WanVae::Posterior& posterior, uint64_t seed, int64_t first_sample) {
  const Tensor noise = Tensor::empty(posterior.mean.shape());
  const int64_t items = noise.dim(0), size = noise.numel() / items;
  for (int64_t i = 0; i < items; ++i)
    random_normal({noise.data<float>() + i * size, static_cast<size_t>(size)}, seed,
                  random_stream(RandomUse::posterior_noise, first_sample + i));
  return posterior.mean + exp(affine(posterior.logvar, 0.5f)) * noise;
}

}  // namespace

VaeTrainer::VaeTrainer(const TrainConfig& config, PictureData& data, DType compute)
    : config_(config),
      data_(data),
      compute_(compute),
      vae_([&] {
        RandomParameters random(static_cast<uint64_t>(config.seed));
        return WanVae(config.vae, random, compute);
      }()),
      state_("vae", vae_.parameters(), config.optimizer, compute) {}

int64_t VaeTrainer::step(int64_t step, MetricMeans& means) {
  const int64_t batch = config_.batch, micro = config_.micro_batch > 0 ? config_.micro_batch : batch;
  for (int64_t first = 0; first < batch; first += micro) {
    const Tensor pictures = data_.samples(samples_ + first, micro);
    const WanVae::Posterior posterior = vae_.encode(pictures);
    const Tensor latents = sample_posterior(posterior, static_cast<uint64_t>(config_.seed), samples_ + first);
    const VaeLoss loss = vae_loss(pictures, vae_.decode(latents), posterior, config_.loss);
    const float value = loss.total.item();
    if (!std::isfinite(value)) fail_run("training: the loss is not finite after {} samples", samples_);
    means.add("loss", value);
    means.add("l1", loss.l1.item());
    means.add("mse", loss.mse.item());
    means.add("gradient", loss.gradient.item());
    means.add("kl", loss.kl.item());
    backward(loss.total, Tensor::full({}, static_cast<float>(micro) / static_cast<float>(batch)));
  }
  const double factor =
      LearningRateSchedule{config_.schedule.warmup, config_.steps, config_.schedule.floor}.factor(step);
  means.add("learning_rate_factor", factor);
  means.add("gradient_norm", state_.step(factor));
  samples_ += batch;
  return batch;
}

Json VaeTrainer::validate() {
  const Parameters averages = state_.averages();
  CopiedParameters source(averages, false);
  const WanVae vae(config_.vae, source, compute_);
  const VaeReport report = report_vae(vae, data_, config_.validation.items);
  return {{"psnr", report.psnr}};
}

Json VaeTrainer::save(const Path& folder) const {
  state_.save(folder);
  return {{"samples", samples_}};
}

void VaeTrainer::load(const Path& folder, JsonReader state) {
  state_.load(folder);
  samples_ = state.integer("samples", 0, most_samples);
}

void VaeTrainer::write_model(const Path& folder, const Path&) {
  const Parameters averages = state_.averages();
  CopiedParameters source(averages, false);
  const WanVae vae(config_.vae, source, compute_);
  const VaeReport report = report_vae(vae, data_, data_.size());
  WanVaeConfig config = config_.vae;
  config.latents_mean = report.latents_mean;
  config.latents_std = report.latents_std;

  AtomicDirectory directory(folder);
  write_json(directory.path() / "config.json", wan_vae_json(config));
  write_weights(directory.path(), "diffusion_pytorch_model", averages, false);
  write_json(directory.path() / "psnr.json", {{"psnr", report.psnr}, {"pictures", report.psnr_each}});
  directory.commit();
  spdlog::info("{}: PSNR {:.2f} dB over {} pictures", folder.string(), report.psnr, data_.size());
}

}  // namespace baton
