#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/image_header.h"
#include "engine/io/png.h"

namespace baton {
namespace {

constexpr std::string_view signature("\x89PNG\r\n\x1a\n", 8);
constexpr int64_t most_file = 1 << 30;
constexpr size_t most_text = 4 << 20;

// Splits at the first NUL.
std::string_view take_field(std::string_view& data, std::string_view where) {
  const size_t end = data.find('\0');
  check(end != data.npos, "{}: the PNG file is damaged: a text without its parts", where);
  const std::string_view field = data.substr(0, end);
  data.remove_prefix(end + 1);
  return field;
}

std::string latin1_to_utf8(std::string_view text) {
  std::string result;
  for (const unsigned char c : text) append_code_point(result, c);
  return result;
}

// Unpacks to at most most_text bytes, however much a small chunk would give.
std::string unpack(std::string_view packed, std::string_view where) {
  z_stream stream{};
  check(inflateInit(&stream) == Z_OK, "{}: zlib does not start", where);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  int state = Z_OK;
  while (state == Z_OK && text.size() <= most_text) {
    const size_t done = text.size();
    text.resize(done + std::clamp<size_t>(done, 1 << 12, 1 << 20));
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + done);
    stream.avail_out = static_cast<uInt>(text.size() - done);
    state = inflate(&stream, Z_NO_FLUSH);
    text.resize(text.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  check(state == Z_STREAM_END || text.size() > most_text, "{}: the PNG file is damaged: a text cannot be unpacked",
        where);
  return text;  // too much of it fails the caller's check on the sum
}

// tEXt: keyword NUL text.  zTXt: keyword NUL method text.  iTXt: keyword NUL packed? method language NUL
// translated-keyword NUL text.
std::pair<std::string, std::string> read_text(std::string_view type, std::string_view data, std::string_view where) {
  std::string keyword = latin1_to_utf8(take_field(data, where));
  if (type == "tEXt") return {std::move(keyword), latin1_to_utf8(data)};
  const size_t flags = type == "iTXt" ? 2 : 1;
  check(data.size() >= flags && data[flags - 1] == 0, "{}: the PNG file is damaged: a text without its parts", where);
  const bool packed = type == "zTXt" || data[0] != 0;
  data.remove_prefix(flags);
  if (type == "zTXt") return {std::move(keyword), latin1_to_utf8(unpack(data, where))};
  take_field(data, where);
  take_field(data, where);
  std::string text = packed ? unpack(data, where) : std::string(data);
  check(is_utf8(text), "{}: the PNG file is damaged: a text is not UTF-8", where);
  return {std::move(keyword), std::move(text)};
}

}  // namespace

std::map<std::string, std::string> read_png_texts(const Path& path) {
  return parse_png_texts(read_file(path, most_file), path.string());
}

std::map<std::string, std::string> parse_png_texts(std::string_view file, std::string_view where) {
  check(file.starts_with(signature), "{}: not a PNG file", where);
  std::string_view rest = file.substr(signature.size());
  std::map<std::string, std::string> texts;
  size_t total = 0;
  for (std::string_view type; type != "IEND";) {  // chunks {length, type, data, checksum of type and data}
    const uint32_t length = read_big(rest, 0, 4);
    check(rest.size() >= 12 && length <= rest.size() - 12, "{}: the PNG file is cut short", where);
    type = rest.substr(4, 4);
    const auto* summed = reinterpret_cast<const Bytef*>(rest.data() + 4);
    check(crc32(0, summed, length + 4) == read_big(rest, 8 + length, 4),
          "{}: the PNG file is damaged: wrong checksum of a chunk", where);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") {
      auto [keyword, text] = read_text(type, rest.substr(8, length), where);
      total += keyword.size() + text.size();
      check(total <= most_text, "{}: more than {} bytes of text", where, most_text);
      texts.emplace(std::move(keyword), std::move(text));
    }
    rest.remove_prefix(12 + length);
  }
  return texts;
}

}  // namespace baton
