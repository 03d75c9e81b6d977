#include "engine/io/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <string_view>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace baton {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 128; });
}

void append(png_structp png, png_bytep data, png_size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), size);
}

std::vector<png_text> make_entries(const PngTexts& texts) {
  std::vector<png_text> entries;
  for (const auto& [keyword, text] : texts) {
    png_text entry{};
    entry.key = const_cast<char*>(keyword.c_str());
    entry.text = const_cast<char*>(text.c_str());
    entry.compression = is_ascii(text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    entry.text_length = is_ascii(text) ? text.size() : 0;
    entry.itxt_length = is_ascii(text) ? 0 : text.size();
    entry.lang = const_cast<char*>("");
    entry.lang_key = const_cast<char*>("");
    entries.push_back(entry);
  }
  return entries;
}

void check_texts(const std::string& where, const PngTexts& texts) {
  for (const auto& [keyword, text] : texts) {
    const bool printable =
        std::all_of(keyword.begin(), keyword.end(), [](unsigned char c) { return c >= ' ' && c <= '~'; });
    check(printable && !keyword.empty() && keyword.size() <= 79, "{}: '{}' cannot be a keyword in a PNG", where,
          keyword);
    check(is_utf8(text) && text.find('\0') == text.npos, "{}: the text '{}' is not UTF-8 or has a NUL byte", where,
          keyword);
  }
}

}  // namespace

std::string encode_png(const Image& image, const PngTexts& texts, const std::string& where) {
  check_texts(where, texts);
  check(
      image.width > 0 && image.height > 0 && image.pixels.size() == static_cast<size_t>(image.width * image.height * 3),
      "{}: a picture of {}x{} with {} values", where, image.width, image.height, image.pixels.size());
  std::string out;
  const std::vector<png_text> entries = make_entries(texts);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  check(info != nullptr, "{}: libpng does not start", where);
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < image.height; ++y)
    rows.push_back(const_cast<uint8_t*>(image.pixels.data()) + y * image.width * 3);
  const bool failed = setjmp(png_jmpbuf(png)) != 0;  // libpng reports errors by a jump to here
  if (!failed) {
    png_set_write_fn(png, &out, append, nullptr);
    png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_text(png, info, entries.data(), static_cast<int>(entries.size()));
    png_set_rows(png, info, rows.data());
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  }
  png_destroy_write_struct(&png, &info);
  if (failed) fail_run("{}: the picture cannot be written as PNG", where);
  return out;
}

void write_png(const Path& path, const Image& image, const PngTexts& texts) {
  write_file(path, encode_png(image, texts, path.string()));
}

}  // namespace baton
