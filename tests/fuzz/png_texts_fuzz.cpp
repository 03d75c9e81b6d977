#include <zlib.h>

#include <string>

#include "engine/core/utf8.h"
#include "engine/io/image_header.h"
#include "engine/io/png.h"
#include "tests/fuzz/fuzz.h"

namespace {

// Gives every chunk the checksum that it should have: mutation alone would hardly ever find one.
std::string with_checksums(std::string file) {
  for (size_t at = 8; at + 12 <= file.size();) {
    const uint32_t length = baton::read_big(file, at, 4);
    if (length > file.size() - at - 12) break;
    const auto sum = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(file.data() + at + 4), length + 4));
    for (int i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<char>(sum >> (24 - 8 * i));
    at += 12 + length;
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return baton::fuzz::run(size, [&] {
    const std::string file = with_checksums(std::string(baton::fuzz::text_of(data, size)));
    for (const auto& [keyword, text] : baton::parse_png_texts(file, "fuzz"))
      baton::fuzz::require(baton::is_utf8(keyword) && baton::is_utf8(text));
  });
}
