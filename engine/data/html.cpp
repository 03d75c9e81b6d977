#include "engine/data/html.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <unordered_map>

#include "engine/core/utf8.h"
#include "engine/data/windows_1252.h"

namespace baton {
namespace {

constexpr std::string_view entity_list =
#include "engine/data/html_entities.inc"
    ;
constexpr std::string_view upper_case_list =
#include "engine/data/html_upper_case.inc"
    ;

using Entities = std::unordered_map<std::string_view, std::string>;  // "eacute;" -> "é"

Entities parse_entities(std::string_view list) {
  Entities entities;
  for (std::string_view rest = list; !rest.empty();) {
    const size_t end = rest.find(' '), equals = rest.find('=');
    std::string text;
    for (const char* at = rest.data() + equals; at != rest.data() + end;) {
      uint32_t code_point = 0;
      at = std::from_chars(at + 1, rest.data() + end, code_point, 16).ptr;
      append_code_point(text, code_point);
    }
    entities.emplace(rest.substr(0, equals), std::move(text));
    rest.remove_prefix(end + 1);
  }
  return entities;
}

const Entities& entities() {
  static const Entities table = parse_entities(entity_list);
  return table;
}

const Entities& upper_case_entities() {
  static const Entities table = parse_entities(upper_case_list);
  return table;
}

// What HTML 5 makes of a number: Windows-1252 for the C1 controls, U+FFFD for what is no character, nothing for other
// controls.
std::string numbered(uint32_t n) {
  std::string text;
  const bool windows = n >= 0x80 && n <= 0x9f;
  const bool no_character = n == 0 || (n >= 0xd800 && n <= 0xdfff) || n > 0x10ffff;
  const bool dropped = (n < 0x20 && n != '\t' && n != '\n' && n != '\f' && n != '\r') || n == 0x7f ||
                       (n >= 0xfdd0 && n <= 0xfdef) || (n & 0xfffe) == 0xfffe;
  if (windows)
    append_code_point(text, windows_1252(n));
  else if (no_character)
    append_code_point(text, 0xfffd);
  else if (!dropped)
    append_code_point(text, n);
  return text;
}

// Reads "#233;" or "#xe9;" after an ampersand: the bytes it takes, 0 where there is no number. `semicolon` may be
// missing.
size_t read_number(std::string_view text, std::string& result, bool as_ftfy) {
  const bool hexadecimal = text.size() > 1 && (text[1] == 'x' || text[1] == 'X');
  const size_t begin = hexadecimal ? 2 : 1;
  size_t end = begin;
  uint32_t n = 0;
  for (; end < text.size(); ++end) {
    uint32_t digit = 0;
    if (std::from_chars(&text[end], &text[end] + 1, digit, hexadecimal ? 16 : 10).ptr == &text[end]) break;
    n = std::min<uint32_t>(n * (hexadecimal ? 16 : 10) + digit, 0x110000);  // stays there, and out of range
  }
  const bool semicolon = end < text.size() && text[end] == ';';
  if (end == begin || (as_ftfy && !semicolon)) return 0;
  result += numbered(n);
  return end + semicolon;
}

// Reads "eacute;", or the longest known name at the start, or as ftfy does "EACUTE;": the bytes it takes, 0 where there
// is none.
size_t read_name(std::string_view text, std::string& result, bool as_ftfy) {
  const size_t longest = as_ftfy ? 24 : 32;
  const size_t end = std::min(text.find_first_of("\t\n\f <&#;"), std::min(text.size(), longest));
  const auto known = [&](const Entities& list, size_t length) {
    const auto found = list.find(text.substr(0, length));
    if (found == list.end()) return false;
    result += found->second;
    return true;
  };
  if (end < text.size() && text[end] == ';' &&
      (known(entities(), end + 1) || (as_ftfy && known(upper_case_entities(), end + 1))))
    return end + 1;
  for (size_t length = as_ftfy ? 0 : end; length > 1; --length)
    if (known(entities(), length)) return length;
  return 0;
}

}  // namespace

std::string unescape_html(std::string_view text, bool as_ftfy) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t ampersand = std::min(text.find('&', at), text.size());
    result += text.substr(at, ampersand - at);
    at = ampersand;
    if (at == text.size()) break;
    const std::string_view rest = text.substr(at + 1);
    const size_t used = rest.starts_with('#') ? read_number(rest, result, as_ftfy) : read_name(rest, result, as_ftfy);
    if (used == 0) result += '&';
    at += 1 + used;
  }
  return result;
}

}  // namespace baton
