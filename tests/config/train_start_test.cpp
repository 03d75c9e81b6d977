#include "engine/config/train_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/tensor_store.h"
#include "engine/ops/elementwise.h"
#include "tests/io/scratch.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
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
  EXPECT_EQ(c.sampling.guidance, std::vector{4.0});
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
  for (const auto& entry : fs::directory_iterator(start_ + "/vae")) fs::copy(entry.path(), other.path());
  Json config = read_json(start_ + "/vae/config.json");
  EXPECT_EQ(read({"model.vae=" + other.path().string()}).denoiser.vae, other.path());
  const Path weights = other / "diffusion_pytorch_model-00001-of-00002.safetensors";
  std::string bytes = read_file(weights, 1 << 30);
  bytes.back() ^= 1;  // of the last weight
  write_file(weights, bytes);
  EXPECT_THAT(error_of("model.vae=" + other.path().string()), HasSubstr("is another autoencoder than that of"));
  bytes.back() ^= 1;
  write_file(weights, bytes);
  EXPECT_EQ(error_of("model.vae=" + other.path().string()), "no error");
  Json shifted = config;
  shifted["latents_mean"][0] = shifted["latents_mean"][0].get<double>() + 1;
  write_json(other / "config.json", shifted);
  EXPECT_THAT(error_of("model.vae=" + other.path().string()), HasSubstr("is another autoencoder than that of"));
  config["z_dim"] = 1;
  config["latents_mean"] = config["latents_std"] = {1.0};
  write_json(other / "config.json", config);
  EXPECT_THAT(error_of("model.vae=" + other.path().string()), HasSubstr("have 1 channels, but the denoisers of"));
}

// A finished model holds its autoencoder in bf16; the one that it was made with is in f32.
TEST_F(TrainStart, TakesTheAutoencoderThatTheModelWasMadeWith) {
  const test::Scratch other;
  write_file(other / "config.json", read_file(start_ + "/vae/config.json", 1 << 20));
  TensorStore store(start_ + "/vae");
  NamedTensors wide;
  for (const std::string& name : store.names()) wide.emplace_back(name, cast(store.get(name), DType::f32));
  write_safetensors(other / "diffusion_pytorch_model.safetensors", wide);
  EXPECT_EQ(error_of("model.vae=" + other.path().string()), "no error");
}

TEST_F(TrainStart, RefusesAnotherTokenizer) {
  const test::Scratch other;
  for (const auto& entry : fs::directory_iterator(start_ + "/tokenizer")) fs::copy(entry.path(), other.path());
  EXPECT_EQ(error_of("model.tokenizer=" + other.path().string()), "no error");
  fs::copy(test_dir() / "golden/t5_tokenizer/spiece.model", other.path(), fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of("model.tokenizer=" + other.path().string()), HasSubstr("is another tokenizer than that of"));
}

// The shipped model behind links, with another index.
class ChangedStart : public TrainStart {
 protected:
  ChangedStart() : index_(read_json(start_ + "/model_index.json")) {
    for (const auto& entry : fs::directory_iterator(start_))
      if (entry.is_directory()) fs::create_directory_symlink(entry.path(), changed_ / entry.path().filename().string());
    start_ = changed_.path();
  }
  void write_index() const { write_json(changed_ / "model_index.json", index_); }

  test::Scratch changed_;
  Json index_;
};

TEST_F(ChangedStart, GivesWhatItSuggestsToThoseWhoDraw) {
  index_["baton"]["defaults"]["guidance"] = {7.0, 3.0, 2.0, 1.0};
  index_["baton"]["defaults"]["sampler"] = "euler";
  index_["baton"]["defaults"]["height"] = 64;
  write_index();
  const TrainConfig c = read();
  EXPECT_EQ(c.sampling.guidance, (std::vector{7.0, 3.0, 2.0, 1.0}));
  EXPECT_EQ(c.sampling.sampler, "euler");
  EXPECT_EQ(c.data.size, 128);
  EXPECT_EQ(c.sampling.height, 64);
  EXPECT_EQ(read({"sampling.guidance=5"}).sampling.guidance, std::vector{5.0});
  EXPECT_THAT(error_of("sampling.guidance=[5, 6]"), HasSubstr("sampling.guidance: 2 values for experts.count: 4"));
  EXPECT_THAT(error_of("sampling.sampler=magic"), HasSubstr("sampling.sampler: 'magic', expected one of unipc"));
}

TEST_F(ChangedStart, RefusesPartsThatTrainingHasNoPlaceFor) {
  const Json encoder = index_["text_encoder"];
  for (const char* other : {"T5EncoderModel", "CLIPTextModel"}) {
    index_["text_encoder"][1] = other;
    write_index();
    EXPECT_THAT(error_of("seed=1"), HasSubstr(fmt::format("has a text encoder of the class {}", other)));
  }
  index_["text_encoder"] = index_["text_encoder_2"] = encoder;
  index_["tokenizer_2"] = index_["tokenizer"];
  write_index();
  EXPECT_THAT(error_of("seed=1"), HasSubstr("has 2 text encoders; training goes on with one"));
}

TEST_F(ChangedStart, RefusesExpertsThatDiffer) {
  write_index();
  Json config = read_json(changed_ / "transformer_2/config.json");
  config["eps"] = 1e-3;
  fs::remove(changed_ / "transformer_2");
  fs::create_directory(changed_ / "transformer_2");
  write_json(changed_ / "transformer_2/config.json", config);
  EXPECT_THAT(error_of("seed=1"), HasSubstr("transformer and transformer_2 are different networks"));
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
