#pragma once

#include "engine/models/wan_vae.h"
#include "engine/train/loop.h"
#include "engine/train/picture_data.h"
#include "engine/train/trainee.h"

namespace baton {

// Trains an autoencoder on reconstruction from a sampled posterior.
class VaeTrainer : public Trainer {
 public:
  VaeTrainer(const TrainConfig& config, PictureData& data, DType compute);

  int64_t step(int64_t step, MetricMeans& means) override;
  Json validate() override;
  Json save(const Path& folder) const override;
  void load(const Path& folder, JsonReader state) override;
  // Measures the latents' mean and deviation over the data set, stores them in the model's config and writes psnr.json:
  // the fidelity of every picture and over all.
  void write_model(const Path& folder, const Path& checkpoint) override;

  const Trainee& state() const { return state_; }

 private:
  TrainConfig config_;
  PictureData& data_;
  DType compute_;
  WanVae vae_;
  Trainee state_;
  int64_t samples_ = 0;
};

}  // namespace baton
