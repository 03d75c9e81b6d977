#include "engine/core/print.h"

#include <fmt/format.h>

#include <iostream>

#include "engine/core/screen.h"
#include "engine/core/utf8.h"

namespace baton {
namespace {

bool is_obeyed(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
  const bool direction =
      c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  const bool separator = c == 0x2028 || c == 0x2029;
  return control || direction || separator;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text.substr(at));
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at++]));
      continue;
    }
    const size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (c != '\n' && is_obeyed(c))
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    else
      out += text.substr(begin, length);
  }
  return out;
}

std::string printable_line(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) c == '\n' ? out += "\\n" : out += c;
  return out;
}

void print(std::string_view text) {
  clear_bar();
  std::cout << printable(text) << std::flush;
}

}  // namespace baton
