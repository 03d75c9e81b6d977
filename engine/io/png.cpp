#include "engine/io/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <csetjmp>
#include <string_view>

#include "engine/core/error.h"

namespace baton {
namespace {

constexpr std::string_view signature("\x89PNG\r\n\x1a\n", 8);
constexpr int64_t most_file = 1 << 30;
constexpr size_t most_text = 16 << 20;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 128; });
}

void append(png_structp png, png_bytep data, png_size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), size);
}

void set_texts(png_structp png, png_infop info, const PngTexts& texts) {
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
  png_set_text(png, info, entries.data(), static_cast<int>(entries.size()));
}

uint32_t big_endian(const char* p) {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

// Splits at the first NUL; false if there is none.
bool take_field(std::string_view& data, std::string& field) {
  const size_t end = data.find('\0');
  if (end == data.npos) return false;
  field = data.substr(0, end);
  data.remove_prefix(end + 1);
  return true;
}

// tEXt: keyword NUL text.  iTXt: keyword NUL compressed? method language NUL translated-keyword NUL text.
void add_text(std::string_view type, std::string_view data, std::map<std::string, std::string>& texts) {
  std::string keyword, skipped;
  if (!take_field(data, keyword)) return;
  if (type == "iTXt") {
    if (data.size() < 2 || data[0] != 0) return;
    data.remove_prefix(2);
    if (!take_field(data, skipped) || !take_field(data, skipped)) return;
  }
  texts.emplace(keyword, data);
}

}  // namespace

void write_png(const Path& path, const Image& image, const PngTexts& texts) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  check(info != nullptr, "{}: libpng does not start", path.string());
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < image.height; ++y)
    rows.push_back(const_cast<uint8_t*>(image.pixels.data()) + y * image.width * 3);
  const bool failed = setjmp(png_jmpbuf(png)) != 0;  // libpng reports errors by a jump to here
  if (!failed) {
    png_set_write_fn(png, &out, append, nullptr);
    png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    set_texts(png, info, texts);
    png_set_rows(png, info, rows.data());
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  }
  png_destroy_write_struct(&png, &info);
  if (failed) fail_run("{}: the picture cannot be written as PNG", path.string());
  write_file(path, out);
}

std::map<std::string, std::string> read_png_texts(const Path& path) {
  const std::string file = read_file(path, most_file);
  std::string_view rest = file;
  check(rest.starts_with(signature), "{}: not a PNG file", path.string());
  rest.remove_prefix(signature.size());
  std::map<std::string, std::string> texts;
  size_t total = 0;
  for (std::string_view type; type != "IEND";) {
    check(rest.size() >= 12, "{}: the PNG file is cut short", path.string());
    const uint32_t length = big_endian(rest.data());
    check(length <= rest.size() - 12, "{}: the PNG file is cut short", path.string());
    type = rest.substr(4, 4);
    const std::string_view data = rest.substr(8, length);
    if (type == "tEXt" || type == "iTXt") {
      total += length;
      check(total <= most_text, "{}: more than {} bytes of text", path.string(), most_text);
      const auto* start = reinterpret_cast<const Bytef*>(rest.data() + 4);
      check(crc32(0, start, length + 4) == big_endian(rest.data() + 8 + length),
            "{}: the PNG file is damaged: a text has a wrong checksum", path.string());
      add_text(type, data, texts);
    }
    rest.remove_prefix(12 + length);
  }
  return texts;
}

}  // namespace baton
