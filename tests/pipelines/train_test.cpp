#include "pipelines/train.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/config/train_start.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/io/json.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/png.h"
#include "pipelines/evaluate.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

// A small data set, an autoencoder trained on it for a few steps, and what can be done with them.
class TrainTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { start_log(false); }  // to stderr
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "data");
    std::string lines;
    for (int i = 0; i < 6; ++i) {
      std::vector<uint8_t> pixels(16 * 16 * 3);
      for (size_t k = 0; k < pixels.size(); ++k) pixels[k] = static_cast<uint8_t>(i * 40 + k % 3 * 5);
      write_png(root_ / "data" / fmt::format("{}.png", i), {16, 16, pixels});
      lines += fmt::format("{{\"file_name\": \"{}.png\", \"text\": \"a picture {}\"}}\n", i, i);
    }
    write_file(root_ / "data" / "metadata.jsonl", lines);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  TrainConfig common(TrainKind kind, const char* folder) const {
    TrainConfig config;
    config.kind = kind;
    config.batch = 4;
    config.data.folder = root_ / "data";
    config.data.size = 16;
    config.log_every = 1;
    config.checkpoint = {.folder = root_ / folder, .every = 2, .minutes = 0, .keep = 2};
    config.validation = {.every = 3, .items = 3, .t_bins = 4};
    return config;
  }
  TrainConfig vae_config() const {
    TrainConfig config = common(TrainKind::vae, "vae");
    config.steps = 3;
    config.data.crop = 8;
    config.vae.base_dim = 4;
    config.vae.dim_mult = {1, 2};
    config.vae.z_dim = 4;
    config.vae.num_res_blocks = 1;
    config.vae.temperal_downsample = {false};
    resolve(config);
    return config;
  }
  TrainConfig denoiser_config(const char* folder) const {
    TrainConfig config = common(TrainKind::denoiser, folder);
    config.steps = 6;
    config.denoiser.vae = root_ / "vae" / "model";
    config.denoiser.tokenizer = test_dir() / "golden/t5_tokenizer";
    config.denoiser.max_tokens = 16;
    auto& t = config.denoiser.transformer;
    t.num_attention_heads = 2, t.attention_head_dim = 12, t.ffn_dim = 24, t.num_layers = 1, t.freq_dim = 16;
    auto& e = config.denoiser.text_encoder;
    e.d_model = 16, e.num_heads = 2, e.d_kv = 8, e.d_ff = 16, e.num_layers = 1;
    config.experts = {.count = 2, .boundaries = {0.6}, .branch_at = 3};
    config.optimizer.ema = 0.5;
    resolve(config);
    return config;
  }
  int train(const TrainConfig& config, bool stopped = false) const {
    const std::atomic<bool> stop{stopped};
    testing::internal::CaptureStdout();
    const int code = run_train(config, {DType::f32, 1, ProgressMode::none, stop});
    EXPECT_EQ(testing::internal::GetCapturedStdout(),
              code == exit_done ? config.checkpoint.folder + "/model\n" : std::string());
    return code;
  }
  Json evaluate(std::vector<std::string> models, int64_t ranks = 1) const {
    EvaluateConfig config{.models = std::move(models), .data = root_ / "data", .items = 3, .t_bins = 4, .json = true};
    const std::atomic<bool> stop{false};
    testing::internal::CaptureStdout();
    EXPECT_EQ(run_evaluate(config, {DType::f32, 1, ProgressMode::none, stop, {.ranks = ranks}}), exit_done);
    return parse_json(testing::internal::GetCapturedStdout(), "evaluate");
  }

  Path root_ = Path(testing::TempDir()) / "baton_train_test";
};

TEST_F(TrainTest, TrainsBothKindsAndEvaluates) {
  ASSERT_EQ(train(vae_config()), exit_done);
  const TrainConfig config = denoiser_config("denoiser");
  ASSERT_EQ(train(config), exit_done);
  const PipelineDirectory model(root_ / "denoiser" / "model");
  EXPECT_EQ(model.ranges().boundaries(), std::vector{0.6});

  // the model, the checkpoint that it was made from, and the trainer's own validation agree but for bf16 rounding; the
  // first one's autoencoder is used for all
  const std::string checkpoint = root_ / "denoiser" / "step-00000006";
  const Json result = evaluate({checkpoint, model.path()});
  ASSERT_EQ(result["models"].size(), 2u);
  EXPECT_EQ(evaluate({checkpoint, model.path()}, 2), result) << "on two ranks";
  EXPECT_EQ(result["boundaries"], std::vector{0.6});
  std::istringstream metrics(read_file(root_ / "denoiser" / "metrics.jsonl", 1 << 20));
  Json validation;
  for (std::string line; std::getline(metrics, line);)
    if (const Json json = Json::parse(line); json.contains("validation")) validation = json["validation"];
  for (const Json& each : result["models"]) {
    EXPECT_NEAR(each["loss"].get<double>(), validation["loss"].get<double>(), 0.01);
    for (int bin = 0; bin < 4; ++bin)
      EXPECT_NEAR(each["bins"][bin].get<double>(), validation["bins"][bin].get<double>(), 0.02);
    for (int expert = 0; expert < 2; ++expert)
      EXPECT_NEAR(each["experts"][expert].get<double>(), validation["experts"][expert].get<double>(), 0.02);
  }
}

TEST_F(TrainTest, GoesOnFromTheWeightsOfAModelAndEvaluatesThoseCheckpoints) {
  ASSERT_EQ(train(vae_config()), exit_done);
  ASSERT_EQ(train(denoiser_config("first")), exit_done);
  const std::string model = root_ / "first" / "model";
  Json index = read_json(Path(model) / "model_index.json");
  index["scheduler"][1] = "FlowMatchEulerDiscreteScheduler";
  index["baton"]["defaults"].update({{"guidance", {3.0, 7.0}}, {"sampler", "heun"}, {"height", 32}});
  write_json(Path(model) / "model_index.json", index);
  write_json(Path(model) / "scheduler/scheduler_config.json", {{"shift", 2.5}});
  const TrainConfig config = read_train_config(
      {}, std::vector<std::string>{"model.start=" + model, "data.folder=" + (root_ / "data").string(), "steps=2",
                                   "batch=4", "validation.every=2", "validation.items=3", "validation.t_bins=4",
                                   "checkpoint.folder=" + (root_ / "second").string()});
  ASSERT_EQ(train(config), exit_done);
  const PipelineDirectory finished(root_ / "second" / "model");
  EXPECT_EQ(finished.ranges().boundaries(), std::vector{0.6});
  EXPECT_EQ(finished.sampler_config().class_name, "FlowMatchEulerDiscreteScheduler");
  EXPECT_EQ(finished.sampler_config().flow_shift, 2.5);
  EXPECT_EQ(finished.defaults().guidance, (std::vector{3.0, 7.0}));
  EXPECT_EQ(finished.defaults().sampler, "heun");
  EXPECT_EQ(finished.defaults().width, 16);
  EXPECT_EQ(finished.defaults().height, 32);
  const Json result = evaluate({root_ / "second" / "step-00000002", root_ / "second" / "model"});
  EXPECT_NEAR(result["models"][0]["loss"].get<double>(), result["models"][1]["loss"].get<double>(), 0.01);
}

TEST_F(TrainTest, EvaluatesAutoencodersAsTheirTrainerDid) {
  ASSERT_EQ(train(vae_config()), exit_done);
  const std::string folder = root_ / "vae" / "model";
  const Json report = read_json(Path(folder) / "psnr.json");
  EvaluateConfig config{.models = {folder, folder}, .data = root_ / "data", .autoencoder = true, .json = true};
  const std::atomic<bool> stop{false};
  const auto run = [&] { return run_evaluate(config, {DType::f32, 1, ProgressMode::none, stop}); };
  EXPECT_THROW(run(), InputError) << "an autoencoder alone does not say a size";
  config.size = vae_config().data.size;
  testing::internal::CaptureStdout();
  EXPECT_EQ(run(), exit_done);
  const Json result = parse_json(testing::internal::GetCapturedStdout(), "evaluate");
  ASSERT_EQ(result["models"].size(), 2u);
  for (const Json& each : result["models"]) {
    EXPECT_EQ(each["pictures"], report["pictures"].size());
    EXPECT_NEAR(each["psnr"].get<double>(), report["psnr"].get<double>(), 1e-9);
  }
}

TEST_F(TrainTest, AnInterruptedRunEndsAsTheUninterruptedOne) {
  ASSERT_EQ(train(vae_config()), exit_done);
  ASSERT_EQ(train(denoiser_config("whole")), exit_done);
  const TrainConfig config = denoiser_config("parts");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(train(config, true), exit_interrupted);  // one step each
  ASSERT_EQ(train(config), exit_done);
  EXPECT_EQ(read_json(root_ / "parts" / "model" / "manifest.json"),
            read_json(root_ / "whole" / "model" / "manifest.json"));
}

TEST_F(TrainTest, GoesOnOnAnotherMesh) {
  ASSERT_EQ(train(vae_config()), exit_done);
  TrainConfig config = denoiser_config("one");
  config.schedule.floor = 1;  // the rate must not depend on the number of steps
  ASSERT_EQ(train(config), exit_done);
  config.checkpoint.folder = root_ / "many";
  config.steps = 2;
  config.experts.branch_at = 2;
  config.parallel.mesh = "tp=2";
  ASSERT_EQ(train(config), exit_done);
  config.steps = 4;
  config.experts.branch_at = 3;
  config.parallel = {.ranks = 3};
  config.zero = 2;
  ASSERT_EQ(train(config), exit_done);
  config.steps = 6;
  config.parallel = {.ranks = 3, .mesh = "ep=2", .profile = true};
  ASSERT_EQ(train(config), exit_done);
  const std::string steps = "/step-00000006";
  const Json result = evaluate({root_ / "one" / steps.substr(1), root_ / "many" / steps.substr(1)});
  EXPECT_NEAR(result["models"][0]["loss"].get<double>(), result["models"][1]["loss"].get<double>(), 1e-3);
}

TEST_F(TrainTest, RefusesMeshesThatDoNotFit) {
  ASSERT_EQ(train(vae_config()), exit_done);
  TrainConfig config = denoiser_config("denoiser");
  const std::atomic<bool> stop{false};
  for (const ParallelConfig& bad :
       {ParallelConfig{.mesh = "tp=3"}, ParallelConfig{.mesh = "ep=3"}, ParallelConfig{.ranks = 3, .mesh = "tp=2"},
        ParallelConfig{.mesh = "x=2"}, ParallelConfig{.text_ranks = 1}}) {
    config.parallel = bad;
    EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError) << bad.mesh;
  }
  config.parallel = {.mesh = "ep=2"};
  config.experts.turns = true;  // would leave one of the groups idle
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);
}

TEST_F(TrainTest, RefusesPicturesThatTheModelsCannotRead) {
  ASSERT_EQ(train(vae_config()), exit_done);
  const std::atomic<bool> stop{false};
  TrainConfig config = denoiser_config("denoiser");
  ++config.data.size;  // no multiple of the pixels of a latent
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);
  config = denoiser_config("denoiser");
  config.denoiser.transformer.patch_size = {1, 7, 7};
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);
  config = denoiser_config("denoiser");
  config.denoiser.transformer.rope_max_seq_len = 1;
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);
  EXPECT_FALSE(std::filesystem::exists(root_ / "denoiser"));
}

TEST_F(TrainTest, RefusesWhatIsNotThere) {
  const std::atomic<bool> stop{false};
  TrainConfig config = denoiser_config("denoiser");
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);  // no autoencoder was trained
  config.denoiser.tokenizer = root_ / "nowhere";
  EXPECT_THROW(run_train(config, {DType::f32, 1, ProgressMode::none, stop}), InputError);
  EXPECT_FALSE(std::filesystem::exists(root_ / "denoiser"));
}

}  // namespace
}  // namespace baton
