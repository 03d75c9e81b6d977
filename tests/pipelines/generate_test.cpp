#include "pipelines/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/io/image.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/tensor_store.h"
#include "tests/pipelines/generate_test.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

TEST_F(GenerateTest, DrawsWithOneAndWithManyExperts) {
  for (const std::vector<double>& boundaries : {std::vector<double>{}, {0.8}, {0.9, 0.7, 0.4}}) {
    const Path model = test::write_tiny_pipeline("tiny_experts", boundaries);
    EXPECT_EQ(run(config(model, "a.png")), exit_done);
    const Image image = read_image(out_ / "a.png");
    EXPECT_EQ(image.width, 32);
    EXPECT_EQ(image.height, 32);
  }
}

TEST_F(GenerateTest, APictureDependsOnItsSeedAloneAndNotOnItsBatch) {
  const Path model = test::write_tiny_pipeline("tiny_batch", {0.6});
  GenerateConfig together = config(model, "together");
  together.seed = 5;
  together.count = 3;
  together.batch = 3;
  const std::vector<float> all = latents(together);
  GenerateConfig alone = config(model, "alone.png");
  alone.seed = 6;
  const std::vector<float> second = latents(alone);
  const std::vector<float> from_batch(all.begin() + second.size(), all.begin() + 2 * second.size());
  EXPECT_LE(largest_difference(from_batch, second), 1e-4f);
  alone.seed = 7;
  EXPECT_GT(largest_difference(latents(alone), second), 0.1f);
  EXPECT_TRUE(fs::exists(out_ / "together" / "5-0.png") && fs::exists(out_ / "together" / "7-2.png"));
}

TEST_F(GenerateTest, LatentsOfSizesThatCannotBeAreRefused) {
  const Path model = test::write_tiny_pipeline("tiny_latent_sizes", {});
  GenerateConfig c = config(model, "decoded.png");
  c.from_latents = (out_ / "latents.safetensors").string();
  const int64_t channels = PipelineDirectory(model).vae_config().z_dim;
  for (const Shape& shape : {Shape{0, channels, 1, 4, 4}, {1, channels, 1, 0, 4}, {1, channels, 1, 1, 20000}}) {
    write_safetensors(c.from_latents, {{"latents", Tensor::zeros(shape)}});
    EXPECT_THROW(run(c), InputError) << fmt::format("{}", shape);
  }
  EXPECT_FALSE(fs::exists(out_ / "decoded.png"));
}

TEST_F(GenerateTest, SeedsBeyondTheLastAreRefused) {
  GenerateConfig c;
  c.seed = INT64_MAX;
  EXPECT_NO_THROW(resolve(c));
  c.count = 2;
  EXPECT_THROW(resolve(c), InputError);
}

TEST_F(GenerateTest, PicturesInAFolderReplaceNone) {
  const Path model = test::write_tiny_pipeline("tiny_names", {});
  GenerateConfig c = config(model, "folder");
  for (int i = 0; i < 2; ++i) ASSERT_EQ(run(c), exit_done);
  EXPECT_TRUE(fs::exists(out_ / "folder/0-0.png") && fs::exists(out_ / "folder/0-0-2.png"));
  c.out = (out_ / "a.PNG").string();
  for (int i = 0; i < 2; ++i) ASSERT_EQ(run(c), exit_done);  // a file that is named is replaced
  EXPECT_TRUE(fs::is_regular_file(out_ / "a.PNG"));
  EXPECT_EQ(std::distance(fs::directory_iterator(out_), {}), 2);
}

TEST_F(GenerateTest, AnAutoencoderThatGivesNoNumbersIsAnError) {
  for (const float bad : {NAN, INFINITY}) {
    const Path model = test::write_tiny_pipeline("tiny_nan_vae", {});
    ASSERT_EQ(run(config(model, "start.png")), exit_done);
    TensorStore store(model / "vae");
    Parameters parameters;
    for (const std::string& name : store.names()) {
      Tensor value = Tensor::from(store.get(name).to_vector(), store.entry(name).shape);
      if (name.starts_with("decoder.conv_out") || name.starts_with("quant_conv")) value.data<float>()[0] = bad;
      parameters.push_back({name, value});
    }
    write_weights(model / "vae", "diffusion_pytorch_model", parameters, false);
    GenerateConfig c = config(model, "a.png");
    EXPECT_THROW(run(c), RunError) << bad;
    c.init_image = (out_ / "start.png").string();
    EXPECT_THROW(run(c), RunError) << bad;
    EXPECT_FALSE(fs::exists(out_ / "a.png"));
  }
}

TEST_F(GenerateTest, StrengthZeroKeepsThePicture) {
  const Path model = test::write_tiny_pipeline("tiny_strength_zero", {0.6});
  ASSERT_EQ(run(config(model, "start.png")), exit_done);
  GenerateConfig c = config(model, "kept.png");
  c.init_image = (out_ / "start.png").string();
  c.strength = 0;
  const std::vector<float> kept = latents(c);
  for (const ParallelConfig& parallel :
       {ParallelConfig{.mesh = "tp=2"}, {.mesh = "ep=2"}, {.mesh = "dp=2"}, {.text_ranks = 1}})
    EXPECT_EQ(kept, latents(c, parallel)) << parallel.mesh;
  for (const int steps : {1, 4}) {  // whatever the steps
    c.steps = steps;
    EXPECT_EQ(kept, latents(c));
  }
  c.count = 3;
  c.out = (out_ / "many").string();
  ASSERT_EQ(run(c), exit_done);
  EXPECT_EQ(read_image(out_ / "many/2-2.png").pixels, read_image(out_ / "kept.png").pixels);
  c.dry_run = true;
  EXPECT_EQ(run(c), exit_done);
  c = config(model, "a.png");  // which it decodes as --from-latents does
  c.from_latents = (out_ / "latents.safetensors").string();
  ASSERT_EQ(run(c), exit_done);
  EXPECT_EQ(read_image(out_ / "a.png").pixels, read_image(out_ / "kept.png").pixels);
}

TEST_F(GenerateTest, LatentsDecodeToTheSamePicture) {
  const Path model = test::write_tiny_pipeline("tiny_latents", {});
  GenerateConfig c = config(model, "drawn.png");
  latents(c);
  c.from_latents = (out_ / "latents.safetensors").string();
  c.out = (out_ / "decoded.png").string();
  ASSERT_EQ(run(c), exit_done);
  EXPECT_EQ(read_image(out_ / "drawn.png").pixels, read_image(out_ / "decoded.png").pixels);
}

TEST_F(GenerateTest, LowStrengthStaysNearTheStartImageAndReadsOnlyTheExpertsInUse) {
  const Path model = test::write_tiny_pipeline("tiny_strength", {0.6});
  ASSERT_EQ(run(config(model, "start.png")), exit_done);
  fs::remove(model / "transformer" / "diffusion_pytorch_model.safetensors");  // the noisy expert, which no step may use
  GenerateConfig c = config(model, "near.png");
  c.init_image = (out_ / "start.png").string();
  c.steps = 10;
  c.shift = 1;
  c.strength = 0.3;
  EXPECT_EQ(run(c), exit_done);
  c.strength = 1;
  EXPECT_THROW(run(c), InputError);
}

TEST_F(GenerateTest, ADamagedModelIsRefusedAndNothingIsWritten) {
  const Path model = test::write_tiny_pipeline("tiny_damaged", {0.6});
  fs::resize_file(model / "transformer_2" / "diffusion_pytorch_model.safetensors", 1000);
  EXPECT_THROW(run(config(model, "a.png")), InputError);
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(GenerateTest, ValuesThatAreNotFiniteNameStepExpertAndLayer) {
  const Path model = test::write_tiny_pipeline("tiny_nan", {0.6});
  TensorStore store(model / "transformer_2");
  Parameters parameters;
  for (const std::string& name : store.names()) {
    Tensor value = Tensor::from(store.get(name).to_vector(), store.entry(name).shape);
    if (name == "blocks.1.ffn.net.2.bias") value.data<float>()[0] = NAN;
    parameters.push_back({name, value});
  }
  write_weights(model / "transformer_2", "diffusion_pytorch_model", parameters, false);
  try {
    run(config(model, "a.png"));
    FAIL() << "a picture of NaN was drawn";
  } catch (const RunError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("expert 1"), message.npos) << message;
    EXPECT_NE(message.find("block 1"), message.npos) << message;
  }
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(GenerateTest, OtherPictureFormatsAreRefused) {
  const Path model = test::write_tiny_pipeline("tiny_formats", {0.6});
  for (const char* name :
       {"a.jpg", "a.JPG", "a.Jpeg", "a.gif", "a.GIF", "a.tiff", "a.TIF", "a.avif", "a.webp", "a.Bmp"})
    EXPECT_THROW(run(config(model, name)), InputError) << name;
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(GenerateTest, PromptsThatAreNoTextAreRefused) {
  const Path model = test::write_tiny_pipeline("tiny_prompts", {0.6});
  for (const std::string& bad : {std::string("a\xff"), std::string("a\0b", 3), std::string(65537, 'a')}) {
    GenerateConfig c = config(model, "a.png");
    c.prompt = bad;
    EXPECT_THROW(run(c), InputError);
    c = config(model, "a.png");
    c.negative = bad;
    EXPECT_THROW(run(c), InputError);
    c = config(model, "a.png");
    c.prompt_file = Path(testing::TempDir()) / "baton_bad_prompt.txt";
    write_file(c.prompt_file, bad);
    EXPECT_THROW(run(c), InputError);
  }
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(GenerateTest, BadDefinitionsAreRefused) {
  const Path model = test::write_tiny_pipeline("tiny_index", {0.9, 0.5});
  const auto with_index = [&](const std::string& key, const Json& value) {
    Json index = read_json(model / "model_index.json");
    index[key] = value;
    write_json(model / "model_index.json", index);
  };
  with_index("boundary_ratios", {0.5, 0.9});
  EXPECT_THROW(run(config(model, "a.png")), InputError);
  with_index("boundary_ratios", {0.9});
  EXPECT_THROW(run(config(model, "a.png")), InputError);
  with_index("boundary_ratios", {0.9, 0.5});
  EXPECT_EQ(run(config(model, "a.png")), exit_done);
  with_index("vae", {"diffusers", "AutoencoderKL"});
  EXPECT_THROW(run(config(model, "a.png")), InputError);
  with_index("vae", {"diffusers", "AutoencoderKLWan"});
  with_index("image_encoder", {"transformers", "CLIPVisionModel"});  // diffusers ignores it, with a warning
  EXPECT_EQ(run(config(model, "a.png")), exit_done);
}

// What its layers would refuse as a broken promise is refused where the file is known.
TEST_F(GenerateTest, BadConfigsOfPartsAreRefused) {
  const struct {
    const char *file, *key;
    Json value;
  } cases[] = {{"transformer/config.json", "patch_size", {2, 2, 2}},
               {"transformer/config.json", "rope_max_seq_len", 1},
               {"transformer/config.json", "text_dim", 24},
               {"transformer/config.json", "in_channels", 5},
               {"text_encoder/config.json", "vocab_size", 1},
               {"text_encoder/config.json", "d_model", 24},
               {"vae/config.json", "in_channels", 4},
               {"vae/config.json", "z_dim", 5}};
  for (const auto& bad : cases) {
    const Path model = test::write_tiny_pipeline("tiny_parts", {});
    Json part = read_json(model / bad.file);
    part[bad.key] = bad.value;
    write_json(model / bad.file, part);
    EXPECT_THROW(run(config(model, "a.png")), InputError) << bad.file << ": " << bad.key;
  }
}

TEST_F(GenerateTest, SizesAndStepsAreChecked) {
  const Path model = test::write_tiny_pipeline("tiny_sizes", {0.6});
  GenerateConfig c = config(model, "a.png");
  c.size = "30x32";
  EXPECT_THROW(run(c), InputError);
  c.size = "36x24";
  EXPECT_EQ(run(c), exit_done);
  for (const char* size :
       {"x", "32", "32x", "x32", "32x32x32", "-4x4", "0x32", "99999999999999999999x4", "1000000x4"}) {
    c.size = size;
    EXPECT_THROW(run(c), InputError) << size;
  }
}

TEST_F(GenerateTest, DrawsTheSameOnManyRanks) {
  const Path model = test::write_tiny_pipeline("tiny_ranks", {0.7});
  GenerateConfig c = config(model, "pictures");
  c.guidance = {3.0};
  c.count = 3;
  const std::vector<float> one = latents(c);
  std::vector<ParallelConfig> ways{
      {.text_ranks = 1}, {.mesh = "cfg=2", .text_ranks = 1}, {.mesh = "ep=2", .text_ranks = 2}};
  for (const char* mesh : {"tp=2", "ulysses=2", "ring=2", "ring=3", "cfg=2", "ring=2,ulysses=2", "cfg=2,tp=2", "pp=2",
                           "ep=2", "ep=2,tp=2", "ep=2:1", "ep=2,pp=2"})
    ways.push_back({.mesh = mesh});
  for (const ParallelConfig& parallel : ways) {
    SCOPED_TRACE(fmt::format("{} {}", parallel.mesh, parallel.text_ranks));
    EXPECT_LT(largest_difference(one, latents(c, parallel)), 1e-4);
  }
}

TEST_F(GenerateTest, TextRanksAreChecked) {
  const Path model = test::write_tiny_pipeline("tiny_text_ranks", {0.7});
  GenerateConfig c = config(model, "a.png");
  EXPECT_THROW(run(c, {.ranks = 1, .text_ranks = 1}), InputError);  // none is left to draw
  fs::remove_all(model / "text_encoder");
  EXPECT_THROW(run(c, {.text_ranks = 1}), InputError);  // says it, and nobody waits for ever
}

// Runners whose groups differ in size, with a group that has nothing to do, and whose solver remembers earlier steps.
TEST_F(GenerateTest, RelayDrawsTheSame) {
  const Path model = test::write_tiny_pipeline("tiny_relay", {0.8, 0.5});
  GenerateConfig c = config(model, "pictures");
  c.count = 5;
  c.batch = 2;
  for (const char* sampler : {"unipc", "dpm++2m", "heun", "euler"})
    for (const int steps : {9, 2}) {  // two steps leave a group without any
      c.sampler = sampler;
      c.steps = steps;
      const std::vector<float> one = latents(c);
      for (const char* mesh : {"ep=3", "ep=2:1", "ep=1:2:1"}) {
        if (steps == 2 && mesh == std::string("ep=1:2:1"))
          continue;  // ends in two replicas, which --latents-out refuses
        SCOPED_TRACE(fmt::format("{} {} {}", sampler, steps, mesh));
        EXPECT_EQ(one, latents(c, {.mesh = mesh}));
      }
    }
}

TEST_F(GenerateTest, RelayStops) {
  const Path model = test::write_tiny_pipeline("tiny_relay_stop", {0.8, 0.5});
  GenerateConfig c = config(model, "pictures");
  c.count = 5;
  stop_ = true;
  EXPECT_EQ(run(c, {.mesh = "ep=1:2:2"}), exit_interrupted);
}

TEST_F(GenerateTest, ReplicasShareThePictures) {
  const Path model = test::write_tiny_pipeline("tiny_replicas", {});
  GenerateConfig c = config(model, "one");
  c.count = 5;
  c.batch = 2;
  ASSERT_EQ(run(c), exit_done);
  GenerateConfig many = c;
  many.out = (out_ / "many").string();
  ASSERT_EQ(run(many, {.ranks = 4, .mesh = "cfg=2"}), exit_done);
  for (int i = 0; i < 5; ++i) {
    const std::string name = fmt::format("{}-{}.png", i, i);
    EXPECT_EQ(read_image(out_ / "one" / name).pixels, read_image(out_ / "many" / name).pixels);
  }
}

TEST_F(GenerateTest, RefusesMeshesThatCannotDraw) {
  const Path model = test::write_tiny_pipeline("tiny_meshes", {});
  GenerateConfig c = config(model, "a.png");
  for (const char* mesh : {"ep=2", "pp=3", "tp=7", "cfg=3"}) EXPECT_THROW(run(c, {.mesh = mesh}), InputError) << mesh;
  EXPECT_FALSE(fs::exists(c.out));
  c.latents_out = (out_ / "latents.safetensors").string();
  EXPECT_THROW(run(c, {.mesh = "dp=2"}), InputError);
}

TEST_F(GenerateTest, LatentsReplaceNothing) {
  const Path model = test::write_tiny_pipeline("tiny_latents_out", {});
  GenerateConfig c = config(model, "a.png");
  c.latents_out = (out_ / "notes.safetensors").string();
  write_file(c.latents_out, "precious");
  ASSERT_EQ(run(c), exit_done);
  EXPECT_EQ(read_file(c.latents_out, 100), "precious");
  EXPECT_TRUE(TensorStore(out_ / "notes-2.safetensors").contains("latents"));
}

TEST_F(GenerateTest, LatentsThatCannotBeWrittenAreRefusedBeforeTheWork) {
  const Path model = test::write_tiny_pipeline("tiny_latents_refused", {});
  const auto refused = [&](const std::string& out, const std::string& latents) {
    GenerateConfig c = config(model, out);
    c.prompt = std::string(1 << 20, 'x');  // which is refused later
    c.latents_out = (out_ / latents).string();
    try {
      run(c);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refused("a.png", "foo.bin"), testing::HasSubstr("foo.safetensors"));
  EXPECT_THAT(refused("a.png", "foo"), testing::HasSubstr("foo.safetensors"));
  EXPECT_THAT(refused("a.png", "a.png"), testing::HasSubstr("a.safetensors"));
  EXPECT_THAT(refused("a.safetensors", "a.safetensors"), testing::HasSubstr("latents_out too"));
  EXPECT_THAT(refused("a.safetensors/b", "a.safetensors"), testing::HasSubstr("latents_out too"));
  EXPECT_THAT(refused("b", "a.safetensors"), testing::Not(testing::HasSubstr("safetensors")));
}

}  // namespace
}  // namespace baton
