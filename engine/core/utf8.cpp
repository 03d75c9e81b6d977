#include "engine/core/utf8.h"

namespace baton {
namespace {

// Bytes of the code point that a lead byte announces; 0 for a byte that cannot lead.
constexpr size_t length_from(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = text.empty() ? 0 : length_from(byte(0));
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // The second byte's range excludes overlong forms, surrogates, and what lies above U+10FFFF.
  if ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f) ||
      (byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f))
    return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  for (size_t length; !text.empty(); text.remove_prefix(length))
    if ((length = utf8_length(text)) == 0) return false;
  return true;
}

char32_t next_code_point(std::string_view text, size_t& at) {
  const unsigned char lead = text[at];
  const size_t length = length_from(lead);
  char32_t code_point = length == 1 ? lead : lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) code_point = code_point << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3f);
  at += length;
  return code_point;
}

void append_code_point(std::string& text, char32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
    return;
  }
  constexpr unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
  const int following = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  text += static_cast<char>(lead[following] | (code_point >> (6 * following)));
  for (int i = following - 1; i >= 0; --i) text += static_cast<char>(0x80 | ((code_point >> (6 * i)) & 0x3f));
}

std::string_view utf8_prefix(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

std::string utf8_excerpt(std::string_view text, size_t bytes) {
  const std::string_view prefix = utf8_prefix(text, bytes);
  return std::string(prefix) + (prefix.size() < text.size() ? "…" : "");
}

}  // namespace baton
