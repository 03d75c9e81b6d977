#include "engine/io/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;
using ::testing::HasSubstr;

// Reads what `config` becomes with these keys changed, and says what that warned of.
template <typename Read>
std::string warnings(const Read& read, Json config, const Json& changes) {
  const Scratch scratch;
  config.update(changes);
  write_json(scratch / "config.json", config);
  return test::warnings_of([&] { read(scratch / "config.json"); });
}

const Json vae = wan_vae_json({.latents_mean = std::vector(16, 0.0f), .latents_std = std::vector(16, 1.0f)});

const auto read_transformer = [](const Path& file) { return read_wan_transformer_config(file); };
const auto read_vae = [](const Path& file) { return read_wan_vae_config(file); };
const auto read_t5 = [](const Path& file) { return read_t5_config(file, "T5EncoderModel"); };

// diffusers and transformers draw the same picture with each of these.
TEST(ModelConfig, KeysThatTheLibrariesDoNotReadAreNamed) {
  const Json odd{{"from_the_future", "x"}, {"switched_off", false}, {"nothing", nullptr}};
  const char* named = "2 unknown keys are not used: from_the_future = \"x\"; switched_off = false";
  EXPECT_THAT(warnings(read_transformer, wan_transformer_json({}), odd), HasSubstr(named));
  EXPECT_THAT(warnings(read_vae, vae, odd), HasSubstr(named));
  EXPECT_THAT(warnings(read_t5, t5_json({}), odd), HasSubstr(named));
  EXPECT_EQ(warnings(read_transformer, wan_transformer_json({}), {{"qk_norm", nullptr}, {"model_type", "t2v"}}), "");
}

// What transformers wrote into every config until 2023, and with use_diff=False after.
TEST(ModelConfig, GenerationKeysOfATextEncoderAreHarmless) {
  EXPECT_EQ(warnings(read_t5, t5_json({}),
                     {{"num_beams", 1},
                      {"temperature", 1.0},
                      {"top_k", 50},
                      {"length_penalty", 1.0},
                      {"bad_words_ids", nullptr},
                      {"early_stopping", false},
                      {"pruned_heads", Json::object()},
                      {"is_gated_act", false},
                      {"dense_act_fn", "relu"},
                      {"return_dict_in_generate", false}}),
            "");
}

TEST(ModelConfig, KeysThatChangeTheModelAreRefusedByName) {
  const auto refused = [](const auto& read, const Json& config, const Json& changes, const char* message) {
    EXPECT_REFUSED(warnings(read, config, changes), message);
  };
  const Json transformer = wan_transformer_json({}), t5 = t5_json({});
  refused(read_transformer, transformer, {{"qk_norm", "layer_norm"}}, "qk_norm is 'layer_norm'");
  refused(read_transformer, transformer, {{"image_dim", 1280}}, "image_dim is set");
  refused(read_transformer, transformer, {{"model_type", "vace"}}, "model_type: \"vace\" is not supported");
  refused(read_transformer, transformer, {{"activation_fn", "geglu"}}, "expected \"gelu-approximate\"");
  refused(read_transformer, transformer, {{"quantization_config", {{"bits", 4}}}}, "quantization_config: object");
  refused(read_vae, vae, {{"act_fn", "relu"}}, "act_fn: \"relu\" is not supported");
  refused(read_t5, t5, {{"is_gated_act", true}}, "is_gated_act: true is not supported; expected false");
  refused(read_t5, t5, {{"dense_act_fn", "gelu_new"}}, "dense_act_fn: \"gelu_new\"");
  refused(read_t5, t5, {{"num_hidden_layers", 3}}, "num_hidden_layers: 3 is not supported");
  refused(read_t5, t5, {{"pruned_heads", {{"0", {1}}}}}, "pruned_heads");
  refused(read_t5, t5, {{"feed_forward_proj", "gated-mish"}}, "'mish' is not one of");
}

}  // namespace
}  // namespace baton
