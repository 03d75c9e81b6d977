#include "engine/train/write_pipeline.h"

#include <gtest/gtest.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/directory.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/tensor_store.h"
#include "engine/train/denoiser_trainer.h"
#include "engine/train/vae_trainer.h"
#include "tests/test_dir.h"
#include "tests/train/training_fixture.h"

namespace baton {
namespace {

using namespace test;

// Three experts, trained for a few steps, as a pipeline folder.
class WritePipelineTest : public testing::Test {
 protected:
  WritePipelineTest() : config_(tiny_denoiser()) {
    RandomPictures pictures;
    VaeTrainer vae(tiny_vae(), pictures, DType::f32);
    vae.write_model(scratch_.path() / "vae", "");
    config_.denoiser.vae = scratch_.path() / "vae";
    config_.denoiser.tokenizer = test_dir() / "golden/t5_tokenizer";
    config_.experts = {.count = 3, .boundaries = {0.8, 0.25}, .branch_at = 1};
    trainer_ = std::make_unique<DenoiserTrainer>(config_, data_, DType::f32);
    for (int64_t step = 0; step < 3; ++step) trainer_->step(step, means_);
    write(*trainer_, model());
  }
  Path model() const { return scratch_.path() / "model"; }
  void write(DenoiserTrainer& trainer, const Path& folder) {
    const Path checkpoint = scratch_.path() / "checkpoint";
    std::filesystem::remove_all(checkpoint);
    std::filesystem::create_directory(checkpoint);
    trainer.save(checkpoint);
    trainer.write_model(folder, checkpoint);
  }

  Scratch scratch_;
  RandomLatents data_;
  TrainConfig config_;
  MetricMeans means_;
  std::unique_ptr<DenoiserTrainer> trainer_;
};

TEST_F(WritePipelineTest, HoldsTheMovingAverages) {
  check_manifest(model());
  const PipelineDirectory directory(model());
  EXPECT_EQ(directory.ranges().boundaries(), (std::vector{0.8, 0.25}));
  EXPECT_EQ(directory.defaults().max_sequence_length, config_.denoiser.max_tokens);
  EXPECT_EQ(directory.defaults().width, config_.data.size);
  EXPECT_EQ(directory.defaults().steps, config_.sampling.steps);
  EXPECT_EQ(directory.defaults().guidance, config_.sampling.guidance);
  for (int i = 0; i < 3; ++i) {
    TensorStore store(directory.expert_folder(i));
    for (const Parameter& p : trainer_->expert(i)->averages()) {
      const Tensor stored = store.get(p.name, p.value.shape());
      EXPECT_EQ(stored.dtype(), DType::bf16);
      const auto wanted = p.value.to_vector(), got = stored.to_vector();
      for (size_t k = 0; k < wanted.size(); ++k) ASSERT_EQ(got[k], bf16_to_f32(f32_to_bf16(wanted[k]))) << p.name;
    }
    EXPECT_TRUE(store.unused().empty());
  }
  directory.load_text_encoder(0, DType::f32);
  directory.load_vae(DType::f32);
}

TEST_F(WritePipelineTest, CanBeStartedFrom) {
  TrainConfig config = config_;
  config.denoiser.start = model();
  config.denoiser.transformer = {};  // the start says what the networks are
  DenoiserTrainer again(config, data_, DType::f32);
  ASSERT_EQ(again.experts(), 3);
  const auto wanted = trainer_->expert(2)->averages()[5].value.to_vector(),
             got = again.expert(2)->parameters()[5].value.to_vector();
  for (size_t k = 0; k < wanted.size(); ++k) EXPECT_NEAR(got[k], wanted[k], 0.01 * std::abs(wanted[k]));
  again.step(0, means_);

  config.experts = {.count = 2, .boundaries = {0.5}, .branch_at = 0};
  EXPECT_THROW(DenoiserTrainer(config, data_, DType::f32), InputError);
}

TEST_F(WritePipelineTest, ASingleDenoiserCanBeBranchedLater) {
  TrainConfig config = config_;
  config.experts = {};
  const Path single = scratch_.path() / "single";
  DenoiserTrainer trainer(config, data_, DType::f32);
  write(trainer, single);
  EXPECT_EQ(PipelineDirectory(single).experts(), 1);

  config = config_;
  config.denoiser.start = single;
  config.experts.branch_at = 0;
  DenoiserTrainer branched(config, data_, DType::f32);
  EXPECT_EQ(branched.experts(), 1);
  branched.step(0, means_);
  EXPECT_EQ(branched.experts(), 3);
}

}  // namespace
}  // namespace baton
