#include "engine/config/train_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/config/train_start.h"
#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using testing::HasSubstr;

const Path configs = test_dir() / ".." / "configs";

std::string error_of(const char* file, std::vector<std::string> overrides) {
  try {
    read_config<TrainConfig>(configs / file, overrides);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainConfig, ReadsTheShippedConfigs) {
  const auto vae = read_config<TrainConfig>(configs / "train/vae.yaml");
  EXPECT_EQ(vae.kind, TrainKind::vae);
  EXPECT_EQ(vae.vae.in_channels, 12);
  EXPECT_EQ(vae.vae.scale_factor_spatial, 8);
  EXPECT_EQ(vae.vae.scale_factor_temporal, 2);
  const auto denoiser = read_config<TrainConfig>(configs / "train/denoiser.yaml");
  EXPECT_EQ(denoiser.kind, TrainKind::denoiser);
  EXPECT_EQ(denoiser.denoiser.transformer.inner_dim(), 256);
  EXPECT_EQ(denoiser.denoiser.transformer.text_dim, 256);
  EXPECT_TRUE(denoiser.denoiser.text_encoder.gated);
}

TEST(TrainConfig, PrintsWhatReadsBack) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(configs)) {
    if (entry.path().parent_path().filename() == "machines") continue;
    if (entry.path().extension() != ".yaml" || entry.path().parent_path().filename() == "sample") continue;
    SCOPED_TRACE(entry.path());
    std::vector<std::string> overrides;
    const bool plan = entry.path().parent_path().filename() == "plan";
    if (!plan && read_file(entry.path(), 1 << 20).find("\n  start:") != std::string::npos)
      overrides.push_back("model.start=" + (test_dir().parent_path() / "assets/model").string());
    const std::string printed = print_config(read_train_config(entry.path(), overrides, StartModel::may_be_missing));
    EXPECT_EQ(print_config(read_config_text<TrainConfig>(printed, "printed")), printed);
  }
}

TEST(TrainConfig, KnowsTheKeysOfItsKindOnly) {
  EXPECT_THAT(error_of("train/denoiser.yaml", {"loss.l1=1"}), HasSubstr("loss: no such key"));
  EXPECT_THAT(error_of("train/denoiser.yaml", {"data.crop=8"}), HasSubstr("data.crop: no such key"));
  EXPECT_THAT(error_of("train/vae.yaml", {"experts.count=2"}), HasSubstr("experts: no such key"));
}

TEST(TrainConfig, RefusesValuesThatDoNotFitEachOther) {
  const char* vae = "train/vae.yaml";
  EXPECT_THAT(error_of(vae, {"data.folder="}), HasSubstr("data.folder: missing"));
  EXPECT_THAT(error_of(vae, {"data.crop=60"}), HasSubstr("multiples of 8"));
  EXPECT_THAT(error_of(vae, {"data.crop=136"}), HasSubstr("does not fit"));
  EXPECT_THAT(error_of(vae, {"data.background=white"}), HasSubstr("#rrggbb"));
  EXPECT_THAT(error_of(vae, {"model.temperal_downsample=[false]"}), HasSubstr("expected 2"));
  EXPECT_THAT(error_of(vae, {"micro_batch=5"}), HasSubstr("does not divide"));
  EXPECT_THAT(error_of(vae, {"schedule.warmup=9000"}), HasSubstr("beyond steps"));
  const char* denoiser = "train/denoiser.yaml";
  EXPECT_THAT(error_of(denoiser, {"model.vae="}), HasSubstr("model.vae: missing"));
  EXPECT_THAT(error_of(denoiser, {"experts.boundaries=[0.5]"}), HasSubstr("expected 3"));
  EXPECT_THAT(error_of(denoiser, {"experts.boundaries=[0.5, 0.6, 0.2]"}), HasSubstr("fall from each to the next"));
  EXPECT_THAT(error_of(denoiser, {"experts.boundaries=[1, 0.6, 0.2]"}), HasSubstr("fall from each to the next"));
  EXPECT_THAT(error_of(denoiser, {"model.transformer.patch_size=[2, 2, 2]"}), HasSubstr("one frame"));
  EXPECT_THAT(error_of(denoiser, {"experts.branch_at=4000000"}), HasSubstr("beyond steps"));
  EXPECT_EQ(error_of(denoiser, {"experts.boundaries=[0.9, 0.6, 0.2]"}), "no error");
}

}  // namespace
}  // namespace baton
