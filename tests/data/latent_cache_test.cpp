#include "engine/data/latent_cache.h"

#include "data_test_files.h"
#include "engine/io/image.h"
#include "engine/io/png.h"
#include "engine/io/safetensors.h"

namespace baton {
namespace {

using testing::HasSubstr;

// Latents [B, 2, 2, 2]: the first values of each picture's first two channels.
Tensor encode(const Tensor& pictures) {
  const Tensor out = Tensor::empty({pictures.dim(0), 2, 2, 2});
  const int64_t plane = pictures.dim(2) * pictures.dim(3);
  for (int64_t b = 0; b < pictures.dim(0); ++b)
    for (int64_t i = 0; i < 8; ++i)
      out.data<float>()[b * 8 + i] = pictures.data<float>()[(b * 3 + i / 4) * plane + i % 4];
  return out;
}

class LatentCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int n = 0; n < 5; ++n) {
      Image image{8, 8, {}};
      for (int i = 0; i < 192; ++i) image.pixels.push_back(static_cast<uint8_t>(7 * i + 31 * n));
      write_png(folder_ / fmt::format("{}.png", n).c_str(), image);
    }
    DataConfig config = folder_.config();
    config.missing_caption = MissingCaption::empty;
    dataset_ = open_dataset(config);
    pictures_.emplace(dataset_, config);
    source_ = {.encoder = "weights", .pictures = pictures_->hash(), .flip = true, .dtype = DType::f32};
  }
  LatentCache open() {
    return open_latent_cache(
        folder_ / "cache", source_, *pictures_, 2, [&](const Tensor& x) { return ++encoded_, encode(x); },
        ProgressMode::none);
  }
  Path only_file() {
    std::vector<Path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "cache")) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1);
    return files.at(0);
  }

  TestFolder folder_;
  Dataset dataset_;
  std::optional<Pictures> pictures_;
  LatentSource source_;
  int encoded_ = 0;
};

TEST_F(LatentCacheTest, EncodesOnceAndReturnsWhatWasEncoded) {
  const std::vector<Draw> draws{{.item = 4}, {.item = 0, .flip = true}, {.item = 3}};
  const std::vector<float> expected = encode(pictures_->whole(draws)).to_vector();
  EXPECT_EQ(open().latents(draws).to_vector(), expected);
  EXPECT_EQ(encoded_, 6);  // three batches, twice
  const LatentCache again = open();
  EXPECT_EQ(encoded_, 6);
  EXPECT_EQ(again.count(), 5);
  EXPECT_EQ(again.latents(draws).shape(), (Shape{3, 2, 2, 2}));
  EXPECT_EQ(again.latents(draws).to_vector(), expected);
}

TEST_F(LatentCacheTest, RoundsToBf16) {
  source_.dtype = DType::bf16;
  const Draw draw{.item = 2};
  const std::vector<float> exact = encode(pictures_->whole(std::span(&draw, 1))).to_vector();
  const std::vector<float> stored = open().latents(std::span(&draw, 1)).to_vector();
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_EQ(stored[i], bf16_to_f32(f32_to_bf16(exact[i])));
}

TEST_F(LatentCacheTest, RefusesAnotherSource) {
  open();
  const Path file = only_file();
  EXPECT_NO_THROW(LatentCache(file, source_));
  for (LatentSource other : {LatentSource{"other", source_.pictures, true, DType::f32},
                             LatentSource{source_.encoder, "other", true, DType::f32},
                             LatentSource{source_.encoder, source_.pictures, false, DType::f32},
                             LatentSource{source_.encoder, source_.pictures, true, DType::bf16}})
    EXPECT_THAT(error_of([&] { LatentCache(file, other); }), HasSubstr("a latent cache of another source: baton."));
  source_.encoder = "new weights";  // its file has another name
  open();
  EXPECT_EQ(encoded_, 12);
  source_.pictures = "other pictures";
  EXPECT_THAT(error_of<LogicError>([&] { open(); }), HasSubstr("other pictures than its source says"));
}

TEST_F(LatentCacheTest, RefusesDrawsThatItLacks) {
  source_.flip = false;
  const LatentCache cache = open();
  for (const Draw& draw : {Draw{.item = 5}, Draw{.item = -1}, Draw{.flip = true}, Draw{.top = 1}})
    EXPECT_THAT(error_of<LogicError>([&] { cache.latents(std::span(&draw, 1)); }), HasSubstr("not in the cache"));
}

TEST_F(LatentCacheTest, MakesDamagedFilesAnew) {
  open();
  const Path file = only_file();
  const std::string bytes = read_file(file, 1 << 20);
  const auto metadata = SafetensorsFile(file).metadata();
  const auto expect_anew = [&](const char* damage) {
    SCOPED_TRACE(damage);
    encoded_ = 0;
    EXPECT_EQ(open().count(), 5);
    EXPECT_EQ(encoded_, 6);
    EXPECT_EQ(read_file(only_file(), 1 << 20), bytes);
  };
  for (const size_t length : {bytes.size() - 1, size_t{616}, size_t{4}, size_t{0}}) {
    write_file(file, bytes.substr(0, length));
    expect_anew("cut short");
  }
  write_safetensors(file, {{"latents", Tensor::zeros({5, 8})}, {"mirrored", Tensor::zeros({5, 8})}}, metadata);
  expect_anew("other shapes");
  write_safetensors(file, {{"latents", Tensor::zeros({4, 2, 2, 2})}, {"mirrored", Tensor::zeros({4, 2, 2, 2})}},
                    metadata);
  expect_anew("of fewer pictures");
  write_safetensors(file, {{"latents", Tensor::zeros({5, 2, 2, 2})}}, metadata);
  expect_anew("without the mirrored ones");
}

TEST_F(LatentCacheTest, SaysThatItsFileBecameShorterWhileInUse) {
  const LatentCache cache = open();
  const Draw first{.item = 0, .flip = true}, last{.item = 4, .flip = true};
  std::filesystem::resize_file(only_file(), std::filesystem::file_size(only_file()) - 4);
  EXPECT_NO_THROW(cache.latents(std::span(&first, 1)));
  EXPECT_THROW(cache.latents(std::span(&last, 1)), LostData);
}

TEST_F(LatentCacheTest, LeavesNothingBehindWhenEncodingFails) {
  auto broken = [](const Tensor&) -> Tensor { fail_run("out of order"); };
  EXPECT_THROW(open_latent_cache(folder_ / "cache", source_, *pictures_, 2, broken, ProgressMode::none), RunError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "cache"));
  auto odd = [](const Tensor& x) { return Tensor::zeros({x.dim(0) + 1, 2, 2, 2}); };
  EXPECT_THAT(error_of<LogicError>(
                  [&] { open_latent_cache(folder_ / "cache", source_, *pictures_, 2, odd, ProgressMode::none); }),
              HasSubstr("became latents"));
}

}  // namespace
}  // namespace baton
