#include "engine/io/color_profile.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "engine/io/image_header.h"
#include "tests/io/icc_profile.h"
#include "tests/io/scratch.h"
#include "tests/test_dir.h"

namespace baton {
namespace {

using test::big_endian;
using test::fixed_point;
using test::gamma_curve;
using test::icc_profile;

double srgb(double x) { return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4); }

std::string table_curve(int count) {
  std::string text = "curv" + big_endian(0, 4) + big_endian(count, 4);
  for (int i = 0; i < count; ++i) text += big_endian(std::lround(srgb(i / (count - 1.0)) * 65535), 2);
  return text;
}

std::string formula_curve(int kind, std::initializer_list<double> parameters) {
  std::string text = "para" + big_endian(0, 4) + big_endian(kind, 2) + big_endian(0, 2);
  for (const double value : parameters) text += fixed_point(value);
  return text;
}

TEST(ColorProfile, KnowsSrgbHoweverItIsWritten) {
  const std::string formula = formula_curve(3, {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045});
  const std::string formula_with_end = formula_curve(4, {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0});
  for (const std::string& curve :
       {gamma_curve(2.2), table_curve(1024), table_curve(257), formula, formula_with_end, formula_curve(0, {2.2})}) {
    EXPECT_TRUE(is_srgb_profile(icc_profile(test::srgb_primaries, curve)));
    EXPECT_FALSE(is_srgb_profile(icc_profile(test::display_p3, curve)));
    EXPECT_TRUE(is_srgb_profile(icc_profile(test::display_p3, curve, "GRAY")));  // which has no primaries
  }
  const std::string linear = "curv" + std::string(8, '\0');
  for (const std::string& curve : {linear, gamma_curve(1.8), formula_curve(0, {1}), std::string("mft2"), std::string()})
    for (const char* space : {"RGB ", "GRAY"})
      EXPECT_FALSE(is_srgb_profile(icc_profile(test::srgb_primaries, curve, space)));
  EXPECT_FALSE(is_srgb_profile(icc_profile(test::srgb_primaries, gamma_curve(2.2), "CMYK")));
}

TEST(ColorProfile, DamageIsNoTrouble) {
  EXPECT_TRUE(is_srgb_profile(""));  // says nothing
  EXPECT_TRUE(is_srgb_profile(std::string(1000, 'x')));
  const std::string whole = icc_profile(test::srgb_primaries, table_curve(64));
  for (size_t size = 0; size < whole.size(); ++size) is_srgb_profile(std::string_view(whole).substr(0, size));
  for (size_t at = 128; at < 132 + 12 * 7; ++at) is_srgb_profile(std::string(whole).replace(at, 4, "\xff\xff\xff\xff"));
}

TEST(ColorProfile, IsFoundInEveryKindOfFile) {
  const std::filesystem::path images = test_dir() / "golden/images";
  const auto other_colours = [](const std::string& file) { return read_image_header(file, "t").other_colours; };
  for (const bool srgb : {true, false}) {
    const std::string profile = icc_profile(srgb ? test::srgb_primaries : test::display_p3, gamma_curve(2.2));
    uLongf size = compressBound(profile.size());
    std::string packed(size, '\0');
    ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(profile.data()),
                       profile.size()),
              Z_OK);
    const std::string chunk = std::string("name\0\0", 6) + packed.substr(0, size);
    const std::string png = test::slurp(images / "rgb.png");
    EXPECT_EQ(other_colours(std::string(png).insert(33, big_endian(chunk.size(), 4) + "iCCP" + chunk + "crc ")), !srgb);
    const std::string segment = std::string("ICC_PROFILE\0\1\1", 14) + profile;
    EXPECT_EQ(other_colours(
                  test::slurp(images / "grey.jpg").insert(2, "\xff\xe2" + big_endian(segment.size() + 2, 2) + segment)),
              !srgb);
    std::string little = big_endian(profile.size(), 4);
    std::ranges::reverse(little);
    EXPECT_EQ(other_colours(test::slurp(images / "lossless.webp") + "ICCP" + little + profile), !srgb);
  }
  for (const char* name : {"rgb.png", "grey.jpg", "lossless.webp", "big.tif", "rgb.bmp"})
    EXPECT_FALSE(other_colours(test::slurp(images / name))) << name;
}

}  // namespace
}  // namespace baton
