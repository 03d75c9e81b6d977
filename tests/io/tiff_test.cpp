#include "engine/io/tiff.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/image.h"
#include "tests/io/icc_profile.h"
#include "tests/io/scratch.h"

namespace baton {
namespace {

enum Type : uint16_t { short_type = 3, long_type = 4, undefined_type = 7 };
struct Tag {
  uint16_t tag, type;
  std::vector<uint64_t> values;
  uint64_t count = 0;  // that it says to have; 0: as many as it has
};

constexpr int width = 37, height = 21, tile_side = 16;
constexpr int grey = 1, rgb = 2, no_alpha = 0, premultiplied = 1, alpha = 2;  // numbers of the format

// A picture whose values are a function of place and channel, as a file of some kind.
struct Kind {
  int photometric = rgb, bits = 8;
  std::vector<uint64_t> extra;
  bool tiled = false, planes = false, big_endian = false, big = false;
  bool says_extra = true;  // what the extra channels are

  int colours() const { return photometric == rgb ? 3 : 1; }
  int samples() const { return colours() + static_cast<int>(extra.size()); }
  bool multiplied() const { return !extra.empty() && extra[0] == premultiplied; }
  int value(int x, int y, int channel) const {  // 8 bits
    const auto plain = [&](int c) { return (7 * x + 31 * y + 101 * c) % 256; };
    return multiplied() && channel < colours() ? plain(channel) * plain(colours()) / 255 : plain(channel);
  }
  double expected(int x, int y, int channel) const {  // over white
    const double opacity = extra.empty() || extra[0] == no_alpha ? 1 : value(x, y, colours()) / 255.0;
    double own = value(x, y, colours() == 1 ? 0 : channel);
    if (photometric == 0) own = 255 - own;
    return own * (multiplied() ? 1 : opacity) + 255 * (1 - opacity);
  }

  std::string number(uint64_t value, size_t bytes) const {
    std::string text;
    for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * (big_endian ? bytes - 1 - i : i));
    return text;
  }
  // `tags` replace those of the same number; `next`: where the second directory is said to be.
  std::string file(const std::vector<Tag>& tags = {}, uint64_t next = 0) const;
};

// What stands at the given place of the picture, row by row; beyond its edges, rubbish.
std::string block(const Kind& kind, int left, int top, int columns, int rows, int first, int channels) {
  std::string data;
  for (int y = top; y < top + rows; ++y)
    for (int x = left; x < left + columns; ++x)
      for (int c = first; c < first + channels; ++c) {
        const int value = x < width && y < height ? kind.value(x, y, c) : 0xa5;
        data += kind.number(kind.bits == 8 ? value : 257 * value, kind.bits / 8);
      }
  return data;
}

std::string Kind::file(const std::vector<Tag>& tags, uint64_t next) const {
  constexpr int rows = 5;
  std::string data;
  std::vector<uint64_t> offsets, sizes;
  for (int first = 0; first < (planes ? samples() : 1); ++first)
    for (int y = 0; y < height; y += tiled ? tile_side : rows)
      for (int x = 0; x < width; x += tiled ? tile_side : width) {
        const int channels = planes ? 1 : samples();
        const std::string part = tiled ? block(*this, x, y, tile_side, tile_side, first, channels)
                                       : block(*this, 0, y, width, std::min(rows, height - y), first, channels);
        offsets.push_back(16 + data.size());
        sizes.push_back(part.size());
        data += part;
      }
  std::vector<Tag> all{{256, long_type, {width}},
                       {257, long_type, {height}},
                       {258, short_type, std::vector<uint64_t>(samples(), bits)},
                       {259, short_type, {1}},
                       {262, short_type, {static_cast<uint64_t>(photometric)}},
                       {277, short_type, {static_cast<uint64_t>(samples())}},
                       {284, short_type, {planes ? 2u : 1u}},
                       {static_cast<uint16_t>(tiled ? 324 : 273), long_type, offsets},
                       {static_cast<uint16_t>(tiled ? 325 : 279), long_type, sizes}};
  if (tiled) all.insert(all.end(), {{322, short_type, {tile_side}}, {323, short_type, {tile_side}}});
  if (!tiled) all.push_back({278, long_type, {rows}});
  if (!extra.empty() && says_extra) all.push_back({338, short_type, extra});
  for (const Tag& tag : tags) {
    std::erase_if(all, [&](const Tag& old) { return old.tag == tag.tag; });
    all.push_back(tag);
  }
  std::ranges::stable_sort(all, {}, &Tag::tag);
  const size_t word = big ? 8 : 4, table = 16 + data.size();
  size_t end = table + (big ? 8 : 2) + all.size() * (4 + 2 * word) + word;
  std::string entries = number(all.size(), big ? 8 : 2), beside;
  for (const Tag& tag : all) {
    std::string values;
    for (const uint64_t value : tag.values)
      values += number(value, tag.type == short_type ? 2 : tag.type == undefined_type ? 1 : 4);
    entries += number(tag.tag, 2) + number(tag.type, 2) + number(tag.count ? tag.count : tag.values.size(), word);
    entries +=
        values.size() <= word ? values + std::string(word - values.size(), '\0') : number(end + beside.size(), word);
    if (values.size() > word) beside += values;
  }
  std::string head = (big_endian ? "MM" : "II") + number(big ? 43 : 42, 2);
  head += big ? number(8, 2) + number(0, 2) + number(table, 8) : number(table, 4) + std::string(8, '\0');
  return head + data + entries + number(next, word) + beside;
}

std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds;
  for (const int photometric : {0, grey, rgb})
    for (const int bits : {8, 16})
      for (const std::vector<uint64_t>& extra : {std::vector<uint64_t>{}, {no_alpha}, {premultiplied}, {alpha}})
        for (int i = 0; i < 16; ++i)
          kinds.push_back({photometric, bits, extra, (i & 1) != 0, (i & 2) != 0, (i & 4) != 0, (i & 8) != 0});
  return kinds;
}

// libtiff makes something else of some kinds: those are refused, and all others come out right.
TEST(Tiff, WhatIsReadIsRight) {
  int read = 0;
  for (const Kind& kind : all_kinds()) {
    SCOPED_TRACE(fmt::format("photometric {}, {} bits, {} channels, tiled {}, planes {}, big-endian {}, BigTIFF {}",
                             kind.photometric, kind.bits, kind.samples(), kind.tiled, kind.planes, kind.big_endian,
                             kind.big));
    Image image;
    try {
      image = decode_image(kind.file(), "t");
    } catch (const InputError& error) {
      EXPECT_STREQ(error.what(), "t: a TIFF file with a rare layout of its values is not read; save it anew as PNG");
      continue;
    }
    ++read;
    ASSERT_TRUE(image.width == width && image.height == height);
    double worst = 0;
    for (int i = 0; i < width * height * 3; ++i)
      worst = std::max(worst, std::abs(image.pixels[i] - kind.expected(i / 3 % width, i / 3 / width, i % 3)));
    EXPECT_LE(worst, 1.01);
  }
  // In either order of bytes, classic and big: RGB of 8 and 16 bits, with and without a fourth channel, in strips and
  // tiles, together and in planes; grey of either sense in strips, of 8 bits in tiles too; grey of 8 bits with a second
  // channel in strips.
  EXPECT_EQ(read, 4 * (2 * 4 * 2 * 2 + 2 * (2 * 2 + 2) + 3));
}

TEST(Tiff, AFourthChannelWithoutAWordIsAlpha) {
  const Kind said{.extra = {alpha}}, not_said{.extra = {alpha}, .says_extra = false};
  EXPECT_EQ(decode_image(not_said.file(), "t").pixels, decode_image(said.file(), "t").pixels);
}

TEST(Tiff, NamesWhatItDoesNotRead) {
  const auto refusal = [](std::vector<Tag> tags, Kind kind = {}) {
    return test::error_of([&] { decode_image(kind.file(tags), "t"); });
  };
  const auto names = [](const char* what) {
    return testing::HasSubstr(fmt::format("t: a TIFF file with {} is not read; save it anew as PNG", what));
  };
  EXPECT_THAT(refusal({{262, short_type, {5}}}, {.extra = {no_alpha}}), names("CMYK colours"));
  EXPECT_THAT(refusal({{262, short_type, {8}}}), names("Lab colours"));
  EXPECT_THAT(refusal({{262, short_type, {32803}}}), names("a camera's raw data"));
  EXPECT_THAT(refusal({{262, short_type, {77}}}), names("colours of an unknown kind"));
  EXPECT_THAT(refusal({{339, short_type, {3, 3, 3}}}), names("floating-point values"));
  EXPECT_THAT(refusal({{339, short_type, {2, 2, 2}}}), names("signed or complex values"));
  EXPECT_THAT(refusal({{258, short_type, {32, 32, 32}}}), names("values of 32 bits"));
  EXPECT_THAT(refusal({{259, short_type, {34925}}}), names("compression 34925"));  // LZMA takes what the file says
  EXPECT_THAT(refusal({{254, long_type, {1}}}), names("a thumbnail in the first place"));
  EXPECT_THAT(refusal({}, {.extra = {alpha, no_alpha}, .says_extra = false}),
              names("5 channels and no word what they are"));
  EXPECT_THAT(refusal({}, {.photometric = grey, .extra = {alpha}, .says_extra = false}),
              names("2 channels and no word what they are"));
  EXPECT_THAT(refusal({}, {.extra = {alpha, alpha}}), names("two kinds of transparency"));
  EXPECT_THAT(refusal({{258, short_type, {4, 4, 4}}}), names("a rare layout of its values"));
}

TEST(Tiff, TheFirstOfSeveralPagesIsReadAndSaid) {
  const Kind kind;
  const std::string one = kind.file();
  EXPECT_FALSE(decode_image(one, "t").first_of_several);
  for (const uint64_t next :
       {uint64_t{16 + width * height * 3}, uint64_t{8}, uint64_t{UINT32_MAX}}) {  // itself, nonsense
    const Image image = decode_image(kind.file({}, next), "t");
    EXPECT_TRUE(image.first_of_several);
    EXPECT_EQ(image.pixels, decode_image(one, "t").pixels);
  }
}

TEST(Tiff, SaysWhichColoursItsProfileNames) {
  const auto other_colours = [](const test::Primaries& primaries) {
    const std::string profile = test::icc_profile(primaries, test::gamma_curve(2.2));
    const std::vector<uint64_t> bytes(profile.begin(), profile.end());
    return read_tiff_header(Kind().file({{34675, undefined_type, bytes}}), "t").other_colours;
  };
  EXPECT_FALSE(other_colours(test::srgb_primaries));
  EXPECT_TRUE(other_colours(test::display_p3));
}

TEST(Tiff, NumbersThatLieAreRefused) {
  const auto refused = [](std::vector<Tag> tags, const char* part, Kind kind = {}) {
    EXPECT_REFUSED(decode_image(kind.file(tags), "t"), part);
  };
  for (const bool big : {false, true}) {
    const Kind kind{.big = big};
    for (const uint16_t tag : {256, 257, 258, 273, 277, 279})
      refused({{tag, long_type, {1, 2, 3}, big ? UINT64_MAX : UINT32_MAX}}, "its tags hold more than the whole file",
              kind);
    refused({{256, long_type, {UINT32_MAX}}}, "t: ", kind);
    refused({{256, long_type, {40000}}, {257, long_type, {40000}}}, "40000x40000 pixels take more than the 1024 MiB",
            kind);
    refused({{256, long_type, {0}}}, "t: ", kind);
    refused({{273, long_type, std::vector<uint64_t>(5, UINT32_MAX - 3)}}, "damaged or cut short", kind);
    refused({{273, long_type, {16}}, {279, long_type, {3}}}, "damaged or cut short", kind);
  }
  refused({{322, long_type, {1 << 16}}, {323, long_type, {1 << 16}}}, "a tile is larger than the picture",
          {.tiled = true});
  refused({{322, long_type, {UINT32_MAX - 15}}, {323, long_type, {UINT32_MAX - 15}}}, "t: ", {.tiled = true});
  std::vector<Tag> many;
  for (int i = 0; i < 1100; ++i) many.push_back({static_cast<uint16_t>(40000 + i), short_type, {1}});
  refused(many, "tags, at most 1024 are read");
  many.resize(1000);
  for (Tag& tag : many) tag.values.resize(10);
  EXPECT_NO_THROW(decode_image(Kind().file(many), "t"));  // each tag's values at their own place
  for (Tag& tag : many) tag.count = 1000;                 // the same places, many times
  refused(many, "its tags hold more than the whole file");
}

TEST(Tiff, RefusesTruncatedFiles) {
  for (const Kind& kind :
       {Kind{}, Kind{.bits = 16, .tiled = true, .big_endian = true}, Kind{.planes = true, .big = true}}) {
    const std::string whole = kind.file();
    for (size_t size = 0; size < whole.size(); size += 1 + whole.size() / 197)
      EXPECT_THROW(decode_image(whole.substr(0, size), "t"), InputError) << size;
  }
}

TEST(Tiff, SurvivesFlippedBytes) {
  for (const Kind& kind :
       {Kind{}, Kind{.extra = {alpha}, .tiled = true, .big_endian = true}, Kind{.planes = true, .big = true}}) {
    const std::string whole = kind.file();
    for (size_t at = 0; at < whole.size(); at += at < 16 || at > whole.size() - 600 ? 1 : 97)
      for (const char flip : {'\xff', '\x01', '\x80'}) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ flip);
        try {
          const Image image = decode_image(damaged, "t");
          EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.width * image.height * 3));
        } catch (const InputError&) {
        }
      }
  }
}

}  // namespace
}  // namespace baton
