#include "pipelines/picture_file.h"
#include "pipelines/picture_model.h"

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/core/version.h"
#include "engine/io/image.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/png.h"
#include "tests/pipelines/generate_test.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

class StoredSettings : public GenerateTest {};

TEST_F(StoredSettings, DrawTheSamePicture) {
  const Path model = test::write_tiny_pipeline("tiny_like", {0.6});
  GenerateConfig first = config(model, "first.png");
  first.negative = "blurred: \"bad\"\nugly, 低质量";
  first.guidance = {3, 1.5};
  first.steps = 0;
  first.steps_per_expert = {3, 2};
  first.sampler = "dpm++2m";
  first.seed = 99;
  ASSERT_EQ(run(first), exit_done);
  GenerateConfig again;
  static_cast<PictureConfig&>(again) = stored_settings(out_ / "first.png");
  again.model = model.string();
  again.out = (out_ / "again.png").string();
  ASSERT_EQ(run(again), exit_done);
  EXPECT_EQ(read_image(out_ / "first.png").pixels, read_image(out_ / "again.png").pixels);
  EXPECT_EQ(again.negative, first.negative);
  const std::string line = read_png_texts(out_ / "first.png").at("parameters");
  EXPECT_TRUE(line.ends_with(fmt::format(", Version: baton {}", version()))) << line;
}

// A PNG as a stranger could send it: with any settings.
void write_with_settings(const Path& path, const Json& settings, Json record = {}) {
  record["settings"] = settings;
  if (!record.contains("model_hash")) record["model_hash"] = "h";
  write_png(path, Image{8, 8, std::vector<uint8_t>(8 * 8 * 3)}, {{"baton", record.dump()}});
}

TEST_F(StoredSettings, APictureNamesNoFileToReadOrWrite) {
  const Path model = test::write_tiny_pipeline("tiny_stranger", {0.6}), victim = out_ / "victim";
  write_file(victim, "precious");
  Json settings{{"prompt", "theirs"}, {"steps", 2}};
  for (const char* key : {"out", "latents_out", "prompt_file", "model", "init_image", "from_latents", "like"})
    settings[key] = victim.string();
  write_with_settings(out_ / "stranger.png", settings);
  GenerateConfig c;
  static_cast<PictureConfig&>(c) = stored_settings(out_ / "stranger.png");
  EXPECT_EQ(c.prompt, "theirs");
  c.like = (out_ / "stranger.png").string();
  c.model = model.string();
  c.out = (out_ / "mine.png").string();
  EXPECT_THROW(run(c), InputError);  // a start picture and latents that the user did not name
  settings.erase("init_image");
  settings.erase("from_latents");
  write_with_settings(out_ / "stranger.png", settings);
  ASSERT_EQ(run(c), exit_done);
  EXPECT_EQ(read_file(victim, 100), "precious");
  EXPECT_EQ(std::distance(fs::directory_iterator(out_), {}), 3);  // victim, stranger.png, mine.png
  c.model.clear();                                                // not the model that the picture says
  EXPECT_THROW(run(c), InputError);
}

TEST_F(StoredSettings, AStartPictureIsFoundBesideWhatWasDrawnFromIt) {
  const Path model = test::write_tiny_pipeline("tiny_beside", {});
  ASSERT_EQ(run(config(model, "start.png")), exit_done);
  GenerateConfig first = config(model, "first.png");
  first.init_image = (out_ / "start.png").string();
  ASSERT_EQ(run(first), exit_done);
  EXPECT_EQ(picture_record(out_ / "first.png").dump().find(out_.string()), std::string::npos) << "names a folder";
  GenerateConfig again;
  again.like = (out_ / "first.png").string();
  again.model = model.string();
  again.out = (out_ / "again.png").string();
  static_cast<PictureConfig&>(again) = stored_settings(again.like);
  ASSERT_EQ(run(again), exit_done);
  EXPECT_EQ(read_image(out_ / "first.png").pixels, read_image(out_ / "again.png").pixels);
  write_file(out_ / "start.png", "something else");
  EXPECT_THROW(run(again), InputError);
}

TEST_F(StoredSettings, SeedsAreRandomUnlessGivenAndAlwaysStored) {
  const Path model = test::write_tiny_pipeline("tiny_seeds", {0.6});
  GenerateConfig c = config(model, "a.png");
  c.seed = GenerateConfig().seed;
  const std::vector<float> first = latents(c), second = latents(c);
  EXPECT_GT(largest_difference(first, second), 0.1f);
  GenerateConfig again;
  static_cast<PictureConfig&>(again) = stored_settings(out_ / "a.png");
  again.model = c.model;
  again.out = c.out;
  EXPECT_GE(again.seed, 0);
  EXPECT_EQ(largest_difference(latents(again), second), 0);
  for (const char* mesh : {"tp=2", "cfg=2", "ep=2"}) {  // all ranks draw one picture
    ASSERT_EQ(run(c, {.mesh = mesh}), exit_done);
    static_cast<PictureConfig&>(again) = stored_settings(out_ / "a.png");
    again.out = (out_ / "again.png").string();
    const Image together = read_image(out_ / "a.png");
    ASSERT_EQ(run(again), exit_done);
    const Image alone = read_image(out_ / "again.png");
    for (size_t i = 0; i < alone.pixels.size(); ++i) ASSERT_NEAR(alone.pixels[i], together.pixels[i], 1) << mesh;
  }
}

TEST_F(StoredSettings, GiveWayToFlagsThatSayTheSameInOtherWords) {
  const auto overridden = [](const PictureConfig& stored, const std::vector<std::string>& flags) {
    const auto read = [&](GenerateConfig c) {
      read_fields({}, flags, [&](ConfigVisitor& v) { visit(v, c); });
      return c;
    };
    GenerateConfig c = read({without_overridden(stored, read({no_schedule()}))});
    resolve(c);
    return c;
  };
  const PictureConfig counted{.prompt = "old", .steps = 5, .steps_per_expert = {3, 2}};
  const PictureConfig levels{.boundaries = {0.4}, .sigmas = {1, 0.5}};
  const PictureConfig ranges{.steps = 5, .boundaries = {0.4}};
  EXPECT_EQ(overridden(counted, {}).steps_per_expert, counted.steps_per_expert);
  for (const char* flag : {"--steps=8", "--boundaries=[0.7]", "--sigmas=[1,0.2]"})
    EXPECT_TRUE(overridden(counted, {flag}).steps_per_expert.empty()) << flag;
  EXPECT_EQ(overridden(counted, {"--boundaries=[0.7]"}).steps, 5);
  EXPECT_EQ(overridden(counted, {"--sigmas=[1,0.2]"}).steps, 0);
  EXPECT_EQ(overridden(counted, {"--steps_per_expert=[4,4]"}).steps, 0);
  for (const char* flag : {"--steps=8", "--steps=0", "--steps_per_expert=[4,4]"})
    EXPECT_TRUE(overridden(levels, {flag}).sigmas.empty()) << flag;
  EXPECT_EQ(overridden(levels, {"--steps=8"}).boundaries, levels.boundaries);
  EXPECT_TRUE(overridden(ranges, {"--steps_per_expert=[4,4]"}).boundaries.empty());
  EXPECT_EQ(overridden(ranges, {"--steps=8"}).boundaries, ranges.boundaries);
  EXPECT_EQ(overridden(counted, {"--prompt_file=p.txt"}).prompt, "");
}

TEST_F(StoredSettings, NameTheModelHoweverItsFolderIsWritten) {
  const Path model = test::write_tiny_pipeline("tiny_named", {});
  for (const Path& path : {model / "", model / ".", model / ".." / "tiny_named"}) {
    ASSERT_EQ(run(config(path, "named.png")), exit_done);
    EXPECT_EQ(picture_record(out_ / "named.png")["model_name"], "tiny_named") << path;
  }
}

TEST_F(StoredSettings, OfTheFirstVersionNameTheModelByItsManifest) {
  const Path model = test::write_tiny_pipeline("tiny_manifest", {});
  const std::string hash = hash_file(model / "manifest.json");
  const auto is_refused = [&](const Json& more) {
    GenerateConfig c = config(model, "again.png");
    c.like = (out_ / "old.png").string();
    write_with_settings(c.like, {{"prompt", "x"}}, more);
    try {
      check_drawn_by(c.like, c.model);
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  EXPECT_FALSE(is_refused({{"model_hash", hash}}));
  EXPECT_FALSE(is_refused({{"model_hash", PipelineDirectory(model).hash()}}));
  EXPECT_TRUE(is_refused({{"model_hash", hash}, {"version", version()}}));
  EXPECT_TRUE(is_refused({{"model_hash", "other"}}));
}

}  // namespace
}  // namespace baton
