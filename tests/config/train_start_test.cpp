#include "engine/config/train_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "tests/io/scratch.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using testing::HasSubstr;

// A training that starts from the shipped model and says no more than it must.
class TrainStart : public testing::Test {
 protected:
  TrainConfig read(std::vector<std::string> more = {}) const {
    std::vector<std::string> overrides = {"model.start=" + start_, "data.folder=pictures", "checkpoint.folder=run"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    return read_train_config({}, overrides);
  }
  std::string error_of(const std::string& override) const {
    try {
      read({override});
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }

  std::string start_ = test_dir().parent_path() / "assets/model";
};

TEST_F(TrainStart, TakesFromTheModelWhatTheConfigLeavesOut) {
  const TrainConfig c = read();
  EXPECT_EQ(c.denoiser.vae, start_ + "/vae");
  EXPECT_EQ(c.denoiser.tokenizer, start_ + "/tokenizer");
  EXPECT_EQ(c.denoiser.max_tokens, 24);
  EXPECT_EQ(c.denoiser.transformer.num_layers, 8);
  EXPECT_EQ(c.denoiser.transformer.text_dim, 256);
  EXPECT_EQ(c.denoiser.text_encoder.vocab_size, 6000);
  EXPECT_EQ(c.experts.count, 4);
  EXPECT_EQ(c.experts.boundaries, (std::vector{0.85, 0.75, 0.6}));
  EXPECT_EQ(c.data.size, 128);
  EXPECT_EQ(c.t.shift, 3);
  EXPECT_EQ(c.sampling.shift, 3);
  EXPECT_EQ(c.sampling.steps, 24);
  EXPECT_EQ(c.sampling.guidance, 4);
}

TEST_F(TrainStart, TheConfigDecidesWhatIsNotTheNetworks) {
  const TrainConfig c = read({"t.shift=6", "data.size=64", "sampling.steps=8", "model.max_tokens=12",
                              "model.transformer.num_layers=8", "experts.boundaries=[0.85, 0.75, 0.6]"});
  EXPECT_EQ(c.t.shift, 6);
  EXPECT_EQ(c.data.size, 64);
  EXPECT_EQ(c.sampling.steps, 8);
  EXPECT_EQ(c.denoiser.max_tokens, 12);
}

TEST_F(TrainStart, RefusesAnAutoencoderWithOtherLatents) {
  const test::Scratch other;
  Json config = read_json(start_ + "/vae/config.json");
  write_json(other / "config.json", config);
  EXPECT_EQ(read({"model.vae=" + other.path().string()}).denoiser.vae, other.path());
  config["z_dim"] = 1;
  config["latents_mean"] = config["latents_std"] = {1.0};
  write_json(other / "config.json", config);
  EXPECT_THAT(error_of("model.vae=" + other.path().string()), HasSubstr("have 1 channels, but the denoisers of"));
}

TEST_F(TrainStart, RefusesWhatContradictsTheModel) {
  EXPECT_THAT(error_of("model.transformer.num_layers=4"), HasSubstr("model.transformer.num_layers: 4, but"));
  EXPECT_THAT(error_of("model.text_encoder.d_ff=64"), HasSubstr("model.text_encoder.d_ff: 64, but"));
  EXPECT_THAT(error_of("experts.count=2"), HasSubstr("experts.count: 2, but"));
  EXPECT_THAT(error_of("experts.boundaries=[0.9, 0.75, 0.6]"), HasSubstr("hand over at [0.85, 0.75, 0.6]"));
  EXPECT_THAT(error_of("experts.boundaries=[]"), HasSubstr("experts.boundaries: [], but"));
  EXPECT_THAT(error_of("model.start=nowhere"), HasSubstr("nowhere: no such folder"));
}

}  // namespace
}  // namespace baton
