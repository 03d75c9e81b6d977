#include "engine/io/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using test::Scratch;
using test::slurp;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(data.size()) + body +
         big_endian(crc32(0, reinterpret_cast<const Bytef*>(body.data()), body.size()));
}

std::string png(const std::string& chunks) { return std::string("\x89PNG\r\n\x1a\n", 8) + chunks + chunk("IEND", ""); }

std::string packed(const std::string& text) {
  std::string result(compressBound(text.size()), '\0');
  uLongf size = result.size();
  compress(reinterpret_cast<Bytef*>(result.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  result.resize(size);
  return result;
}

const std::string nul(1, '\0');

TEST(Png, WritesPixelsAndTexts) {
  const Scratch scratch;
  Image image{5, 3, {}};
  for (int i = 0; i < 45; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 5));
  const PngTexts texts{{"parameters", "a red panda\nSteps: 24"}, {"baton", R"({"prompt":"红熊猫"})"}, {"empty", ""}};
  write_png(scratch / "a.png", image, texts);
  EXPECT_EQ(read_image(scratch / "a.png").pixels, image.pixels);
  EXPECT_EQ(read_png_texts(scratch / "a.png"), (std::map<std::string, std::string>(texts.begin(), texts.end())));
  EXPECT_EQ(scratch.entries(), 1);
  EXPECT_REFUSED(write_png(scratch / "b.png", image, {{"", "x"}}), "cannot be a keyword");
  EXPECT_REFUSED(write_png(scratch / "b.png", image, {{std::string(80, 'k'), "x"}}), "cannot be a keyword");
  EXPECT_REFUSED(write_png(scratch / "b.png", image, {{"k", "\xff"}}), "not UTF-8");
  EXPECT_REFUSED(write_png(scratch / "b.png", {5, 4, image.pixels}), "a picture of 5x4 with 45 values");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(Png, ReadsEveryKindOfText) {
  const auto texts = parse_png_texts(
      png(chunk("tEXt", "a" + nul + "caf\xe9") + chunk("zTXt", "b" + nul + nul + packed("packed")) +
          chunk("iTXt", "c" + nul + nul + nul + "de" + nul + nul + "é") + chunk("tEXt", "a" + nul + "second") +
          chunk("iTXt", "d" + nul + "\x01" + nul + nul + nul + packed("中"))),
      "t");
  EXPECT_EQ(texts, (std::map<std::string, std::string>{{"a", "café"}, {"b", "packed"}, {"c", "é"}, {"d", "中"}}));
}

TEST(Png, RefusesHostileTexts) {
  const auto parse = [](const std::string& chunks) { return parse_png_texts(png(chunks), "t"); };
  EXPECT_REFUSED(parse(chunk("tEXt", "no end")), "a text without its parts");
  EXPECT_REFUSED(parse(chunk("zTXt", "a" + nul)), "a text without its parts");
  EXPECT_REFUSED(parse(chunk("zTXt", "a" + nul + "\x01")), "a text without its parts");
  EXPECT_REFUSED(parse(chunk("iTXt", "a" + nul + nul + nul + "de")), "a text without its parts");
  EXPECT_REFUSED(parse(chunk("iTXt", "a" + nul + nul + nul + nul + nul + "\xff")), "not UTF-8");
  EXPECT_REFUSED(parse(chunk("zTXt", "a" + nul + nul + "garbage")), "cannot be unpacked");
  EXPECT_REFUSED(parse(chunk("zTXt", "a" + nul + nul + packed("text").substr(0, 9))), "cannot be unpacked");
  EXPECT_REFUSED(parse(chunk("zTXt", "a" + nul + nul + packed(std::string(20 << 20, 'x')))),
                 "more than 4194304 bytes of text");
  const std::string half = chunk("zTXt", "a" + nul + nul + packed(std::string(3 << 20, 'x')));
  EXPECT_REFUSED(parse(half + half), "more than 4194304 bytes of text");
  EXPECT_REFUSED(parse_png_texts("GIF89a", "t"), "t: not a PNG file");
  EXPECT_REFUSED(parse_png_texts(std::string("\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXt", 16), "t"), "cut short");
}

TEST(Png, FindsEveryTruncationAndFlippedByte) {
  const Scratch scratch;
  write_png(scratch / "a.png", {3, 2, std::vector<uint8_t>(18, 9)}, {{"k", "text"}, {"u", "é"}});
  const std::string whole = slurp(scratch / "a.png");
  EXPECT_EQ(parse_png_texts(whole, "t").size(), 2);
  for (size_t at = 0; at < whole.size(); ++at) {
    EXPECT_THROW(parse_png_texts(whole.substr(0, at), "t"), InputError) << at;
    std::string flipped = whole;
    flipped[at] ^= 4;
    EXPECT_THROW(parse_png_texts(flipped, "t"), InputError) << at;
  }
}

}  // namespace
}  // namespace baton
