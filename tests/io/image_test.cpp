#include "engine/io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <thread>

#include "engine/io/decoding_memory.h"
#include "engine/io/image_header.h"
#include "engine/io/json.h"
#include "engine/io/png.h"
#include "tests/io/scratch.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using test::Scratch;
using test::slurp;

const Path golden = test_dir() / "golden";

// Pictures of many kinds against Pillow's reading of them (tools/golden/image_files.py).
TEST(Image, ReadsWhatPillowReads) {
  const Json rows = read_json(golden / "images.json");
  ASSERT_GT(rows.size(), 20);
  for (const auto& [name, row] : rows.items()) {
    const Image image = read_image(golden / "images" / name);
    ASSERT_EQ(image.width, row["width"]) << name;
    ASSERT_EQ(image.height, row["height"]) << name;
    const auto expected = row["pixels"].get<std::vector<int>>();
    ASSERT_EQ(image.pixels.size(), expected.size()) << name;
    int worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs(image.pixels[i] - expected[i]));
    EXPECT_LE(worst, row["tolerance"].get<int>()) << name;
  }
}

TEST(Image, CompositesOverTheChosenColour) {
  const Image black = read_image(golden / "images/rgba_oriented.png", {0, 0, 0});
  const Image over_white = read_image(golden / "images/rgba_oriented.png");
  for (size_t i = 0; i < black.pixels.size(); i += 3) {
    const int light = over_white.pixels[i] - black.pixels[i];  // what shines through: the same in each channel
    EXPECT_NEAR(over_white.pixels[i + 1] - black.pixels[i + 1], light, 1);
    EXPECT_NEAR(over_white.pixels[i + 2] - black.pixels[i + 2], light, 1);
  }
  EXPECT_GT(over_white.pixels[0] - black.pixels[0], 200);  // the first pixel is nearly transparent
}

TEST(Image, RefusesTruncatedFiles) {
  for (const char* name :
       {"rgb.png", "rgba_oriented.png", "oriented3.jpg", "progressive.jpg", "lossless.webp", "rgb.bmp"}) {
    const std::string whole = slurp(golden / "images" / name);
    EXPECT_NO_THROW(decode_image(whole, name));
    for (size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97)
      EXPECT_THROW(decode_image(whole.substr(0, size), name), InputError) << name << " cut to " << size;
  }
}

TEST(Image, SurvivesFlippedBytes) {
  for (const char* name : {"rgb.png", "rgba_oriented.png", "oriented3.jpg", "oriented.webp", "rgb.bmp"}) {
    const std::string whole = slurp(golden / "images" / name);
    for (size_t at = 0; at < std::min<size_t>(whole.size(), 300); ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(~damaged[at]);
      try {
        const Image image = decode_image(damaged, name);
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.width * image.height * 3));
      } catch (const InputError&) {
      }
    }
  }
}

TEST(Image, RefusesBombsBeforeDecoding) {
  const Scratch scratch;
  write_png(scratch / "a.png", {2, 2, std::vector<uint8_t>(12)});
  std::string bomb = slurp(scratch / "a.png");
  bomb.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));  // the size that IHDR gives
  EXPECT_REFUSED(decode_image(bomb, "bomb.png"), "bomb.png: 2147483647x2147483647 pixels take more than");
  bomb.replace(16, 10, std::string("\0\0\x40\0\0\0\x40\0\x10\x06", 10));  // 16384 x 16384, RGBA of 16 bits
  EXPECT_REFUSED(decode_image(bomb, "bomb.png"), "bomb.png: 16384x16384 pixels take more than the 1024 MiB");

  std::string scans = slurp(golden / "images/oriented1.jpg");
  std::string many;
  for (int i = 0; i < 300; ++i) many += std::string("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00", 10);
  scans.insert(scans.size() - 2, many);
  EXPECT_REFUSED(decode_image(scans, "scans.jpg"), "more than 256 scans");
}

TEST(Image, RefusesWhatIsNoPicture) {
  EXPECT_REFUSED(decode_image("", "a"), "a: not a picture that can be read; PNG, JPEG, WebP, TIFF and BMP can");
  EXPECT_REFUSED(decode_image(std::string_view("II*\0", 4), "a"), "the TIFF file is damaged or cut short");
  EXPECT_REFUSED(decode_image("<html/>", "a"), "not a picture");
  EXPECT_REFUSED(decode_image(std::string_view("RIFF\xff\0\0\0WEBP", 12), "a"), "the WebP file is cut short");
  EXPECT_REFUSED(decode_image("BM", "a"), "without pixels");
  std::string disguised = slurp(golden / "images/oriented.webp");  // OpenCV would hand it to a decoder that aborts
  disguised.resize(std::max<size_t>(disguised.size(), 136));
  disguised.replace(128, 4, "DICM");
  EXPECT_REFUSED(decode_image(disguised, "a"), "a: a DICOM file");
}

TEST(Image, NamesTheKindsThatItDoesNotRead) {
  using namespace std::string_view_literals;
  for (const auto& [start, kind] :
       std::vector<std::pair<std::string_view, const char*>>{{"GIF89a\1\0\1\0"sv, "GIF"},
                                                             {"\0\0\0\x20"
                                                              "ftypavif\0\0\0\0"sv,
                                                              "AVIF"},
                                                             {"\0\0\0\x18"
                                                              "ftypheic\0\0\0\0"sv,
                                                              "HEIC"},
                                                             {"\0\0\0\x18"
                                                              "ftypmif1\0\0\0\0"sv,
                                                              "HEIC"},
                                                             {"\xff\x0a\xfa\x1f"sv, "JPEG XL"},
                                                             {"\0\0\0\x0cJXL \r\n\x87\n"sv, "JPEG XL"},
                                                             {"\0\0\0\x0cjP  \r\n\x87\n"sv, "JPEG 2000"},
                                                             {"\0\0\1\0\1\0\x10\x10"sv, "ICO"},
                                                             {"8BPS\0\1"sv, "PSD"},
                                                             {"<svg/>"sv, "SVG"}})
    EXPECT_REFUSED(decode_image(start, "a"),
                   fmt::format("a: a picture of the kind {}, which is not read; convert it to PNG", kind));
}

TEST(Image, SaysWhetherItsFileHoldsMore) {
  for (const char* name : {"animated.webp", "animated_lossy.webp", "animated_part.webp", "pages.tif"})
    EXPECT_TRUE(read_image(golden / "images" / name).first_of_several) << name;
  for (const char* name : {"lossless.webp", "rgb.png", "big.tif", "rgb.bmp", "grey.jpg"})
    EXPECT_FALSE(read_image(golden / "images" / name).first_of_several) << name;
  std::string animated = slurp(golden / "images/rgb.png");  // with two frames, as an animated PNG says behind its head
  const auto with_frames = [&](char frames) {
    return std::string(animated).insert(33, std::string("\0\0\0\x08"
                                                        "acTL\0\0\0",
                                                        11) +
                                                frames + std::string(8, '\0'));
  };
  EXPECT_TRUE(read_image_header(with_frames(2), "t").first_of_several);
  EXPECT_FALSE(read_image_header(with_frames(1), "t").first_of_several);
}

// --threads bounds ours; OpenCV would start as many of its own.
TEST(Image, StartsNoThreads) {
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  const auto before = threads();
  const Image large{2000, 2000, std::vector<uint8_t>(12'000'000)};
  for (const int side : {500, 3000}) resize_image(large, side, side);
  read_image(golden / "images/animated_lossy.webp");
  EXPECT_EQ(threads(), before);
}

// Decoders take the first header; another one, or a marker that has no length, must not lead us astray.
TEST(Image, TheHeaderIsTheOneThatDecodersRead) {
  const std::string jpeg = slurp(golden / "images/oriented6.jpg"), png = slurp(golden / "images/rgb.png");
  for (const char* marker : {"\xff\xd0", "\xff\xd7", "\xff\x01"}) {
    const Image image = decode_image(std::string(jpeg).insert(2, marker), "t");
    EXPECT_EQ(image.width, 16);
    EXPECT_EQ(image.height, 24);
  }
  const size_t frame = jpeg.find("\xff\xc0"), after = frame + 2 + read_big(jpeg, frame + 2, 2);
  ASSERT_NE(frame, jpeg.npos);
  EXPECT_REFUSED(decode_image(std::string(jpeg).insert(after, jpeg.substr(frame, after - frame)), "t"),
                 "two frame headers");
  EXPECT_REFUSED(decode_image(std::string(png).insert(33, png.substr(8, 25)), "t"),
                 "IHDR is not its first chunk alone");
  EXPECT_REFUSED(decode_image(std::string(png).erase(8, 25), "t"), "IHDR is not its first chunk alone");
}

TEST(Image, ADecoderCannotTakeMoreThanTheHeaderSaid) {
  const auto allocate = [] { cv::Mat(100, 100, CV_8UC3); };
  {
    const BoundedAllocations bound(100 * 100 * 3 - 1);
    EXPECT_THROW(allocate(), cv::Exception);
  }
  EXPECT_NO_THROW(allocate());
}

TEST(Image, ThreadsShareTheMemoryForDecoding) {
  std::atomic<bool> first_is_done = false;
  auto first = std::make_unique<DecodingMemory>(most_decoding_bytes / 2 + 1);
  const DecodingMemory beside(most_decoding_bytes / 4);
  std::jthread second([&] {
    const DecodingMemory memory(most_decoding_bytes / 2);
    EXPECT_TRUE(first_is_done);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  first_is_done = true;
  first.reset();
}

TEST(Image, HeadersAreReadWithoutDecoding) {
  const ImageHeader header = read_image_header(slurp(golden / "images/oriented6.jpg"), "t");
  EXPECT_EQ(header.width, 24);
  EXPECT_EQ(header.height, 16);
  EXPECT_EQ(header.orientation, 6);
  EXPECT_EQ(read_image_header(slurp(golden / "images/oriented.webp"), "t").orientation, 8);
  for (const char* name : {"rgb.png", "grey.jpg", "oriented.webp", "rgb.bmp", "pages.tif", "big.tif"})
    EXPECT_TRUE(is_picture_start(slurp(golden / "images" / name).substr(0, 16))) << name;
  EXPECT_FALSE(is_picture_start("GIF89a and ten m"));
}

TEST(Image, ResizesToTheSizeAsked) {
  Image image{4, 2, std::vector<uint8_t>(24, 7)};
  EXPECT_EQ(resize_image(image, 2, 1).pixels, std::vector<uint8_t>(6, 7));
  EXPECT_EQ(resize_image(image, 9, 5).pixels, std::vector<uint8_t>(135, 7));
  EXPECT_REFUSED(resize_image(image, 0, 5), "cannot resize 4x2 to 0x5");
  const Tensor x = to_tensor(image);
  EXPECT_EQ(x.shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(to_image(x).pixels, image.pixels);
}

}  // namespace
}  // namespace baton
