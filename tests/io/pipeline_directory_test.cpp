#include "engine/io/pipeline_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/io/model_config.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using test::Scratch;
using ::testing::HasSubstr;

// A pipeline of `experts` as diffusers saves it, without weights; `more` is merged into model_index.json.
void write_pipeline(const Scratch& scratch, int experts, const Json& more = Json::object()) {
  Json index{{"_class_name", "WanPipeline"},
             {"_diffusers_version", "0.42.1"},
             {"scheduler", {"diffusers", "UniPCMultistepScheduler"}},
             {"text_encoder", {"transformers", "UMT5EncoderModel"}},
             {"tokenizer", {"transformers", "T5TokenizerFast"}},
             {"vae", {"diffusers", "AutoencoderKLWan"}}};
  const auto part = [&](const std::string& name, const char* file, const Json& config) {
    fs::create_directories(scratch / name);
    write_json(scratch / name / file, config);
  };
  for (int i = 0; i < experts; ++i) {
    index[numbered("transformer", i)] = {"diffusers", "WanTransformer3DModel"};
    part(numbered("transformer", i), "config.json", wan_transformer_json({}));
  }
  part("vae", "config.json",
       wan_vae_json({.latents_mean = std::vector(16, 0.0f), .latents_std = std::vector(16, 1.0f)}));
  part("text_encoder", "config.json", t5_json({}));
  part("scheduler", "scheduler_config.json", {{"_class_name", "UniPCMultistepScheduler"}});
  part("tokenizer", "tokenizer_config.json", {{"tokenizer_class", "T5Tokenizer"}});
  index.update(more);
  write_json(scratch / "model_index.json", index);
}

PipelineDirectory opened(int experts, const Json& more) {
  const Scratch scratch;
  write_pipeline(scratch, experts, more);
  return PipelineDirectory(scratch.path());
}

// diffusers draws with all of these; the reason stands in pipeline_wan.py: no boundary means the first transformer.
TEST(PipelineDirectory, BoundariesAtTheEndsAndNone) {
  EXPECT_EQ(opened(2, {{"boundary_ratio", 0.9}}).ranges().boundaries(), std::vector{0.9});
  for (const Json& more : {Json{{"boundary_ratio", nullptr}}, Json::object(), Json{{"boundary_ratio", 0.0}}})
    EXPECT_EQ(opened(2, more).ranges().expert_of(0.1), 0) << more;
  EXPECT_EQ(opened(2, {{"boundary_ratio", 1.0}}).ranges().expert_of(0.999), 1);
  EXPECT_EQ(opened(1, {{"boundary_ratio", 0}, {"transformer_2", {nullptr, nullptr}}}).experts(), 1);
  EXPECT_THAT(test::warnings_of([] { opened(2, Json::object()); }), HasSubstr("transformer_2 has no step to do"));
  EXPECT_REFUSED(opened(1, {{"boundary_ratio", 0.5}}), "1 experts need 0 boundaries, there are 1");
  EXPECT_REFUSED(opened(3, {{"boundary_ratio", 0.5}}), "3 experts need 2 boundaries, there are 1");
  EXPECT_REFUSED(opened(2, {{"boundary_ratio", 1.5}}), "1.5 does not fit");
}

TEST(PipelineDirectory, PartsOfOtherPipelines) {
  EXPECT_EQ(test::warnings_of([] {
              opened(1, {{"image_encoder", {nullptr, nullptr}}, {"safety_checker", nullptr}});
            }),
            "");
  EXPECT_THAT(test::warnings_of([] {
                opened(1, {{"feature_extractor", {"transformers", "CLIPImageProcessor"}}, {"is_distilled", true}});
              }),
              HasSubstr("2 unknown keys are not used: feature_extractor = array; is_distilled = true"));
  EXPECT_EQ(opened(1, {{"tokenizer", {"transformers", "TokenizersBackend"}}}).text_encoders(), 1);
  EXPECT_REFUSED(opened(1, {{"expand_timesteps", true}}), "per-token timesteps");
  EXPECT_REFUSED(opened(1, {{"tokenizer", nullptr}}), "tokenizer: the pipeline has none");
  EXPECT_REFUSED(opened(1, {{"transformer_3", {"diffusers", "WanTransformer3DModel"}}}),
                 "transformer_3: more than 64 experts, or none before it");
}

TEST(PipelineDirectory, DefaultsOutOfRange) {
  const auto with = [](const Json& defaults) {
    return opened(2, {{"boundary_ratio", 0.5}, {"baton", {{"defaults", defaults}}}});
  };
  EXPECT_EQ(with({{"steps", 24}, {"guidance", {3.0, 7.0}}, {"sampler", "euler"}}).defaults().steps, 24);
  for (const int64_t steps : {int64_t{0}, (int64_t{1} << 33) + 2, int64_t{-1}})
    EXPECT_REFUSED(with({{"steps", steps}}),
                   fmt::format("model_index.json: baton.defaults.steps: {} is out of", steps));
  EXPECT_REFUSED(with({{"width", int64_t{1} << 32}}), "baton.defaults.width: 4294967296 is out of range");
  EXPECT_REFUSED(with({{"height", 0}}), "baton.defaults.height: 0 is out of range");
  EXPECT_REFUSED(with({{"shift", 0.0}}), "baton.defaults.shift is 0, expected above 0");
  EXPECT_REFUSED(with({{"guidance", {-1.0}}}), "baton.defaults.guidance: -1 is out of range");
  EXPECT_REFUSED(with({{"guidance", {1.0, 2.0, 3.0}}}), "baton.defaults.guidance: 3 values for 2 experts");
  EXPECT_REFUSED(with({{"sampler", "magic"}}), "baton.defaults.sampler: magic is unknown; known: unipc");
  EXPECT_REFUSED(with({{"max_sequence_length", int64_t{1} << 32}}), "max_sequence_length: 4294967296 is out of range");
}

// Two fine-tunes differ in their weights alone; people keep models behind links; a manifest may be out of date.
TEST(PipelineDirectory, HashIsOfTheWeightsAndConfigs) {
  const Scratch scratch, links;
  write_pipeline(scratch, 1);
  scratch.put("transformer/diffusion_pytorch_model.safetensors", std::string(100'000, 'a'));
  const auto hash = [&] { return PipelineDirectory(scratch.path()).hash(); };
  const std::string first = hash();
  fs::create_directory_symlink(scratch / "vae", links / "vae");
  for (const auto& entry : fs::directory_iterator(scratch.path()))
    if (!fs::exists(links / entry.path().filename().string()))
      fs::copy(entry.path(), links / entry.path().filename().string(),
               entry.is_directory() ? fs::copy_options::recursive : fs::copy_options::create_symlinks);
  EXPECT_EQ(PipelineDirectory(links.path()).hash(), first);
  scratch.put("README.md", "text");
  scratch.put("manifest.json", "{}");
  fs::create_directories(scratch / "pictures");
  scratch.put("pictures/a.json", "{}");
  EXPECT_EQ(hash(), first);
  std::string weights(100'000, 'a');
  weights[99'000] = 'b';
  scratch.put("transformer/diffusion_pytorch_model.safetensors", weights);
  const std::string second = hash();
  EXPECT_EQ(PipelineDirectory(scratch.path()).fingerprint(), second) << "of small files everything is sampled";
  EXPECT_NE(second, first);
  scratch.put("transformer/diffusion_pytorch_model.safetensors", std::string(100'000, 'a'));
  EXPECT_EQ(hash(), first);
  write_json(scratch / "scheduler/scheduler_config.json",
             {{"_class_name", "UniPCMultistepScheduler"}, {"flow_shift", 5}});
  EXPECT_NE(hash(), first);
}

}  // namespace
}  // namespace baton
