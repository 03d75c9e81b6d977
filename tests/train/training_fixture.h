#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/config/train_config.h"
#include "engine/core/random.h"
#include "engine/io/json.h"
#include "engine/nn/parameters.h"
#include "engine/train/denoiser_data.h"
#include "engine/train/picture_data.h"
#include "tests/io/scratch.h"
#include "tests/models/tiny_models.h"

// Data sets made of random numbers, and networks so small that a step takes milliseconds.
namespace baton::test {

class RandomLatents : public DenoiserData {
 public:
  DenoiserSample sample(int64_t number) override { return item(number % size()); }
  int64_t size() const override { return 12; }
  DenoiserSample item(int64_t index) const override {
    DenoiserSample sample{Tensor::empty({4, 1, 4, 4}), {}};
    random_normal({sample.latents.data<float>(), 64}, 77, index);
    for (int64_t i = 0; i <= index % 4; ++i) sample.tokens.push_back(static_cast<int32_t>((index * 3 + i) % 16));
    return sample;
  }
};

class RandomPictures : public PictureData {
 public:
  Tensor samples(int64_t first, int64_t count) override { return draw(first, count, 8); }
  int64_t size() const override { return 5; }
  Tensor items(std::span<const int64_t> indices) override {
    return draw(indices[0], static_cast<int64_t>(indices.size()), 16);
  }

 private:
  // Planes of one random colour, brighter towards the right.
  static Tensor draw(int64_t first, int64_t count, int64_t side) {
    const Tensor all = Tensor::empty({count, 3, 1, side, side});
    for (int64_t i = 0; i < all.numel(); ++i) {
      const int64_t plane = i / (side * side), column = i % side;
      const double colour = 2 * random_uniform(78, first + plane / 3, plane % 3) - 1;
      all.data<float>()[i] = static_cast<float>(0.7 * colour + 0.3 * static_cast<double>(column) / side);
    }
    return all;
  }
};

inline TrainConfig tiny_denoiser() {
  TrainConfig config;
  config.kind = TrainKind::denoiser;
  config.seed = 5;
  config.steps = 12;
  config.batch = 8;
  config.log_every = 1;
  config.dtype = ComputeType::f32;
  config.denoiser.transformer = tiny_transformer();
  config.denoiser.text_encoder = tiny_text_encoder(16);
  config.denoiser.max_tokens = 6;
  config.denoiser.vae = "unused";
  config.denoiser.tokenizer = "unused";
  config.experts = {.count = 3, .boundaries = {}, .branch_at = 5};
  config.optimizer.ema = 0.9;
  config.schedule.warmup = 3;
  config.data.folder = "unused";
  config.checkpoint = {.folder = "unset", .every = 0, .minutes = 0, .keep = 2};
  config.validation = {.every = 0, .items = 6, .t_bins = 4};
  return config;
}

inline TrainConfig tiny_vae() {
  TrainConfig config;
  config.kind = TrainKind::vae;
  config.steps = 6;
  config.batch = 4;
  config.log_every = 1;
  config.dtype = ComputeType::f32;
  config.vae.base_dim = 8;
  config.vae.dim_mult = {1, 2};
  config.vae.z_dim = 4;
  config.vae.num_res_blocks = 1;
  config.vae.patch_size = 2;
  config.vae.temperal_downsample = {false};
  config.data = {.folder = "unused", .size = 16, .crop = 8};
  config.checkpoint = {.folder = "unset", .every = 0, .minutes = 0, .keep = 2};
  config.validation = {.every = 0, .items = 3};
  resolve(config);
  return config;
}

// What a trainer's save() returned, as its load() reads it from a checkpoint.
inline JsonReader reader_of(const Json& state) { return JsonReader::text(state.dump(), "state"); }

inline void expect_equal(const Parameters& a, const Parameters& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    if (is_floating(a[i].value.dtype()))
      EXPECT_EQ(a[i].value.to_vector(), b[i].value.to_vector()) << a[i].name;
    else
      EXPECT_EQ(*a[i].value.data<int64_t>(), *b[i].value.data<int64_t>()) << a[i].name;
  }
}

}  // namespace baton::test
