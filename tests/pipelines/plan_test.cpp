#include "pipelines/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

PlanConfig gpt3() {
  PlanConfig config{.gpt = "layers=96,hidden=12288,heads=96,seq=2048,vocab=51200",
                    .machine = test_dir() / "../configs/machines/a100-80g.yaml",
                    .mesh = "tp=8,pp=8,dp=1",
                    .global_batch = 64,
                    .micro_batch = 1,
                    .interleave = 3,
                    .recompute = PlannedRecompute::selective,
                    .sequence_parallel = true};
  config.json = true;
  return config;
}

PlanConfig denoiser() {
  return {.train_config = test_dir() / "../configs/train/denoiser.yaml",
          .machine = test_dir() / "../configs/machines/h100-80g.yaml"};
}

std::string wan() { return test_dir() / "../configs/plan/wan2.2-a14b.yaml"; }

std::string printed(PlanConfig config) {
  resolve(config);
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_plan(config), 0);
  return testing::internal::GetCapturedStdout();
}

TEST(Plan, OneJsonObjectForAGpt) {
  const Json plan = parse_json(printed(gpt3()), "plan");
  EXPECT_EQ(plan.at("activation_bytes").get<double>(), 12.3515625 * (1 << 30));
  EXPECT_EQ(plan.at("state_bytes").get<double>(), 45.5625 * (1 << 30));
  EXPECT_GT(plan.at("peak_bytes").get<double>(), 58.0 * (1 << 30));
  EXPECT_NEAR(plan.at("step_seconds").get<double>(), 13.75, 0.7);
  EXPECT_NEAR(plan.at("bubble").get<double>(), 7 / 192.0, 1e-12);
  EXPECT_NEAR(plan.at("mfu").get<double>(), 0.514, 0.02);
  EXPECT_NEAR(plan.at("hfu").get<double>(), 0.528, 0.02);
}

TEST(Plan, ATableWithAdviceForADenoiser) {
  PlanConfig config = denoiser();
  config.mesh = "tp=2";
  config.ranks = 8;
  const std::string text = printed(config);
  for (const char* words : {"8 ranks of H100 80 GB, mesh dp=4,tp=2", "weights", "activations in the blocks",
                            "communication over tp", "MFU", "wait for the host"})
    EXPECT_THAT(text, HasSubstr(words));
}

TEST(Plan, SearchListsMeshes) {
  PlanConfig config = denoiser();
  config.search = true;
  config.ranks = 8;
  EXPECT_THAT(printed(config), AllOf(HasSubstr("dp=8 "), Not(HasSubstr("ep="))));  // its experts take turns
  config.json = true;
  EXPECT_GT(parse_json(printed(config), "plan").size(), 3u);
}

TEST(Plan, SearchSaysWhereFewerRanksWouldDo) {
  PlanConfig config = denoiser();
  config.search = true;
  config.ranks = 64;
  EXPECT_THAT(printed(config), AllOf(HasSubstr("1 of the 64 ranks would do"), HasSubstr("wait for the host")));
  config.train_config = wan();
  config.text = PlannedText::cached;
  config.tokens = 32760;
  config.ranks = 8;
  EXPECT_THAT(printed(config), AllOf(Not(HasSubstr("would do")), Not(HasSubstr("wait for the host"))));
}

// As without --search: what is missing, and what would fit.
TEST(Plan, SearchAdvisesWhereNothingFits) {
  PlanConfig config = denoiser();
  config.train_config = wan();
  config.tokens = 1560;
  config.search = true;
  config.ranks = 8;
  EXPECT_THAT(printed(config),
              AllOf(HasSubstr("does not fit\n"), HasSubstr("It does not fit: "), HasSubstr("With --text cached")));
  config.search = false;
  config.mesh = "tp=2";
  config.zero = 3;
  EXPECT_THAT(printed(config), AllOf(HasSubstr("It does not fit: "), HasSubstr("With --text cached")));
  config.text = PlannedText::cached;
  EXPECT_THAT(printed(config), Not(HasSubstr("--text cached")));
}

TEST(Plan, SaysWhatItsNumbersAre) {
  EXPECT_THAT(printed(denoiser()), AllOf(HasSubstr("FLOP of the whole training: "), HasSubstr("Liang et al. 2024"),
                                         Not(HasSubstr("compute_optimal"))));
  PlanConfig config = denoiser();
  config.json = true;
  EXPECT_GT(parse_json(printed(config), "plan").at("compute_optimal_parameters").get<double>(), 0);
}

TEST(Plan, TokensFollowThePictures) {
  PlanConfig config = denoiser();
  config.json = true;
  const Json whole = parse_json(printed(config), "plan");
  config.tokens = 64;  // 128 pixels, 8 of them a latent, 2 latents a token
  EXPECT_EQ(parse_json(printed(config), "plan").at("activation_bytes"), whole.at("activation_bytes"));
}

TEST(Plan, OptionsThatDoNotGoTogetherAreRefused) {
  const auto message = [](PlanConfig config, const char* text) {
    const auto run = [&] {
      resolve(config);
      run_plan(config);
    };
    EXPECT_THAT(run, ThrowsMessage<InputError>(HasSubstr(text)));
  };
  message({}, "either a training config");
  PlanConfig config = gpt3();
  config.machine = "";
  message(config, "--machine is missing");
  config = gpt3();
  config.global_batch = 0;
  message(config, "--gpt needs --global-batch");
  config = gpt3();
  config.micro_batch = 3;
  message(config, "cannot be divided into dp=1 times --micro-batch 3");
  config = gpt3();
  config.order = PipelineOrder::gpipe;
  message(config, "leave --interleave out");
  for (const auto& [mesh, text] : {std::pair{"tp=7,pp=8,dp=1", "heads=96 cannot be shared by tp=7"},
                                   {"tp=8,pp=7,dp=1", "layers=96 cannot be divided into pp=7"},
                                   {"tp=8,ep=2", "axis ep is for denoisers"},
                                   {"tp=8,warp=2", "there is no axis 'warp'"}}) {
    config = gpt3();
    config.mesh = mesh;
    message(config, text);
  }
  for (const auto& [gpt, text] : {std::pair{"layers=96", "gpt: hidden is missing"},
                                  {"layers=96,layers=2", "layers is given twice"},
                                  {"layers=-1", "layers=-1, expected a whole number"},
                                  {"depth=3", "'depth=3', expected layers=N"},
                                  {"", "either a training config"}}) {
    config = gpt3();
    config.gpt = gpt;
    message(config, text);
  }
  config = denoiser();
  config.train_config = test_dir() / "../configs/train/vae.yaml";
  message(config, "kind is vae");
}

}  // namespace
}  // namespace baton
