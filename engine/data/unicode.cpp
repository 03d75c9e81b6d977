#include "engine/data/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace baton {
namespace {

int category(char32_t code_point) { return utf8proc_category(static_cast<utf8proc_int32_t>(code_point)); }

std::string mapped(std::string_view text, utf8proc_option_t options) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &result, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, std::free);
  check(size >= 0, "text: not valid UTF-8 ({})", utf8proc_errmsg(size));
  return {reinterpret_cast<const char*>(result), static_cast<size_t>(size)};
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_letter(char32_t code_point) {
  const int c = category(code_point);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t code_point) {
  const int c = category(code_point);
  return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

std::string to_nfc(std::string_view text) {
  return mapped(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
}

std::string to_nfd(std::string_view text) {
  return mapped(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
}

std::string to_nfkc(std::string_view text) {
  return mapped(text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
}

std::string to_lower(std::string_view text) {
  std::string lower;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130)
      lower += "i\u0307";  // the one letter whose small form is two code points
    else
      append_code_point(lower, utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
  return lower;
}

std::vector<std::string_view> graphemes(std::string_view text) {
  std::vector<std::string_view> clusters;
  utf8proc_int32_t state = 0, previous = 0;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const auto c = static_cast<utf8proc_int32_t>(next_code_point(text, at));
    if (here > 0 && utf8proc_grapheme_break_stateful(previous, c, &state)) {
      clusters.push_back(text.substr(begin, here - begin));
      begin = here;
    }
    previous = c;
  }
  if (begin < text.size()) clusters.push_back(text.substr(begin));
  return clusters;
}

std::string collapse_spaces(std::string_view text) {
  std::string result;
  bool pending = false;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    if (is_space(next_code_point(text, at))) {
      pending = true;
      continue;
    }
    if (pending && !result.empty()) result += ' ';
    pending = false;
    result += text.substr(here, at - here);
  }
  return result;
}

}  // namespace baton
