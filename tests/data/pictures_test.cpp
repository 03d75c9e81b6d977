#include "engine/data/pictures.h"

#include "data_test_files.h"
#include "engine/core/heartbeat.h"
#include "engine/core/log.h"
#include "engine/core/require.h"
#include "engine/data/loader.h"
#include "engine/io/image.h"
#include "engine/io/png.h"
#include "kernels/machine.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// Every pixel another value: red counts columns, green rows, blue is `blue`.
void write_gradient(const TestFolder& folder, const char* name, int64_t width, int64_t height, uint8_t blue) {
  Image image{width, height, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      image.pixels.insert(image.pixels.end(), {static_cast<uint8_t>(x), static_cast<uint8_t>(y), blue});
  write_png(folder / name, image);
}

class PicturesTest : public testing::Test {
 protected:
  void SetUp() override {
    write_gradient(folder_, "a.png", 8, 8, 10);
    write_gradient(folder_, "b.png", 8, 8, 20);
    config_ = folder_.config();
    config_.missing_caption = MissingCaption::empty;
  }
  Pictures open() {
    dataset_ = open_dataset(config_);
    return Pictures(dataset_, config_);
  }

  TestFolder folder_;
  DataConfig config_;
  Dataset dataset_;
};

float as_float(int value) { return static_cast<float>(value) / 127.5f - 1; }

TEST_F(PicturesTest, CutsFlipsAndScales) {
  config_.crop = 4;
  const Pictures pictures = open();
  EXPECT_EQ(pictures.count(), 2);
  const Draw draws[] = {{.item = 1, .top = 3, .left = 2}, {.item = 0, .flip = true, .top = 0, .left = 4}};
  const Tensor x = pictures.crops(draws);
  ASSERT_EQ(x.shape(), (Shape{2, 3, 4, 4}));
  const float* p = x.data<float>();
  for (int y = 0; y < 4; ++y)
    for (int column = 0; column < 4; ++column) {
      const int at = y * 4 + column;
      EXPECT_EQ(p[at], as_float(2 + column));
      EXPECT_EQ(p[16 + at], as_float(3 + y));
      EXPECT_EQ(p[32 + at], as_float(20));
      EXPECT_EQ(p[48 + at], as_float(4 + 3 - column));
      EXPECT_EQ(p[64 + at], as_float(y));
    }
  const Tensor whole = pictures.whole(draws);
  EXPECT_EQ(whole.shape(), (Shape{2, 3, 8, 8}));
  EXPECT_EQ(whole.data<float>()[0], as_float(0));
}

TEST_F(PicturesTest, DecodesOnDemandToTheSameValues) {
  write_gradient(folder_, "c.png", 20, 11, 30);
  const Pictures kept = open();
  const std::vector<Draw> draws{{.item = 2, .flip = true}, {.item = 0}, {.item = 2}};
  const std::vector<float> expected = kept.whole(draws).to_vector();
  EXPECT_TRUE(kept.in_memory());
  config_.memory_mb = 0;
  const Pictures fresh = open();
  EXPECT_FALSE(fresh.in_memory());
  EXPECT_EQ(fresh.whole(draws).to_vector(), expected);
  EXPECT_EQ(fresh.hash(), kept.hash());
}

// Other ranks wait while the first reads a data set, and hold it for lost if it gives no sign of life.
TEST_F(PicturesTest, AreReadAndCheckedWithSignsOfLife) {
  for (int i = 0; i < 100; ++i) write_gradient(folder_, fmt::format("{}.png", i).c_str(), 8, 8, 10);
  std::atomic<int64_t> beats = 0;
  heartbeat = &beats;
  dataset_ = open_dataset(config_);
  EXPECT_GE(beats.exchange(0), 102);
  kernels::cpu::set_threads(1);  // of several, this one might get no share of so few
  EXPECT_EQ(check_pictures(dataset_, config_).size(), 102);
  kernels::cpu::set_threads(0);
  EXPECT_GE(beats, 102);
  heartbeat = nullptr;
}

TEST_F(PicturesTest, CoversTheSquareAndCutsTheCentre) {
  write_gradient(folder_, "wide.png", 40, 16, 0);  // shrinks by 2 to 20 x 8; columns 6 to 14 remain
  const Pictures pictures = open();
  const Draw draw{.item = 2};
  const Tensor x = pictures.whole(std::span(&draw, 1));
  for (int i = 0; i < 8; ++i)
    EXPECT_NEAR(x.data<float>()[i], as_float(0) + (2 * (6 + i) + 0.5f) / 127.5f, 1 / 127.5f) << i;
}

TEST_F(PicturesTest, HashFollowsPixelsNotFiles) {
  const std::string hash = open().hash();
  std::filesystem::rename(folder_ / "b.png", folder_ / "c.png");
  EXPECT_EQ(open().hash(), hash);
  write_gradient(folder_, "c.png", 8, 8, 21);
  EXPECT_NE(open().hash(), hash);
}

TEST_F(PicturesTest, ListsWhatItCannotRead) {
  folder_.write("c.png", "no picture");
  folder_.write("d.png", "");
  const std::string png = read_file(folder_ / "a.png", 1 << 20);
  folder_.write("e.png", std::string_view(png).substr(0, png.size() / 2));
  write_gradient(folder_, "f.png", 200, 1, 0);
  const std::string error = error_of([&] { open(); });
  EXPECT_THAT(error, HasSubstr("4 problems"));
  for (const char* name : {"\n  c.png: ", "\n  d.png: ", "\n  e.png: ", "\n  f.png: "})
    EXPECT_THAT(error, HasSubstr(name));
}

// data.skip_unreadable.
TEST_F(PicturesTest, LeavesOutWhatItCannotReadWithANoteEach) {
  folder_.write("0.png", "no picture");
  const std::string png = read_file(folder_ / "a.png", 1 << 20);
  folder_.write("b2.png", std::string_view(png).substr(0, png.size() / 2));
  write_gradient(folder_, "f.png", 200, 1, 0);
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("3 problems"));
  dataset_ = open_dataset(config_);
  drop_unreadable(dataset_, config_);
  ASSERT_EQ(dataset_.items.size(), 2);  // in their order
  EXPECT_EQ(dataset_.items[0].where, "a.png");
  EXPECT_EQ(dataset_.items[1].where, "b.png");
  EXPECT_THAT(dataset_.notes, ElementsAre(HasSubstr("left out: 0.png: "), HasSubstr("left out: b2.png: "),
                                          HasSubstr("left out: f.png: 200 x 1 pixels")));
  EXPECT_EQ(Pictures(dataset_, config_).count(), 2);

  for (int i = 0; i < 12; ++i) folder_.write(fmt::format("{}.png", i).c_str(), "no picture");
  dataset_ = open_dataset(config_);
  drop_unreadable(dataset_, config_);
  EXPECT_EQ(dataset_.items.size(), 2);
  ASSERT_EQ(dataset_.notes.size(), 11);
  EXPECT_EQ(dataset_.notes.back(), "left out: 4 more");

  for (const char* name : {"a.png", "b.png"}) folder_.write(name, "no picture");
  dataset_ = open_dataset(config_);
  EXPECT_THAT(error_of([&] { drop_unreadable(dataset_, config_); }), HasSubstr("none of 16 pictures can be read"));
}

TEST_F(PicturesTest, CountsThoseThatAreTheFirstOfSeveral) {
  const Path golden = test_dir() / "golden/images";
  for (const char* name : {"animated.webp", "pages.tif", "rgb.bmp"}) fs::copy(golden / name, folder_ / name);
  dataset_ = open_dataset(config_);
  const std::string note =
      "2 pictures are the first of several frames or pages, the others of which are not read, the first is "
      "animated.webp";
  EXPECT_THAT(notes_of(dataset_, check_pictures(dataset_, config_)), ElementsAre(note));
  testing::internal::CaptureStdout();  // where the log goes as long as no program has set it up
  Pictures(dataset_, config_);
  spdlog::default_logger()->flush();
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr(note));
}

TEST_F(PicturesTest, CountsThoseOfOtherColours) {
  const std::vector<PictureCheck> checks{{}, {.other_colours = true}, {.other_colours = true}};
  const Dataset dataset{.items = {{.where = "a"}, {.where = "b"}, {.where = "c"}}};
  EXPECT_THAT(notes_of(dataset, checks),
              ElementsAre("2 pictures have a colour profile that is not sRGB, and their values "
                          "are taken as sRGB, the first is b"));
}

TEST_F(PicturesTest, RefusesCropsOutside) {
  config_.crop = 4;
  const Pictures pictures = open();
  for (const Draw& draw : {Draw{.item = 2}, Draw{.item = -1}, Draw{.top = 5}, Draw{.left = -1}})
    EXPECT_THROW(pictures.crops(std::span(&draw, 1)), LogicError);
}

TEST_F(PicturesTest, LoaderMakesWhatTheSamplerDraws) {
  config_.crop = 4;
  config_.flip = true;
  const Pictures pictures = open();
  DrawSequence sequence(dataset_, config_, 9), same(dataset_, config_, 9);
  PictureLoader loader(pictures, sequence);
  // Onwards, a jump as after a resume, another batch size, and back.
  for (const auto& [first, count] : {std::pair{0, 3}, {3, 3}, {6, 3}, {30, 3}, {33, 2}, {35, 2}, {0, 3}, {0, 3}})
    EXPECT_EQ(loader.samples(first, count).to_vector(), pictures.crops(same.draws(first, count)).to_vector()) << first;
}

}  // namespace
}  // namespace baton
