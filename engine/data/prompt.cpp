#include "engine/data/prompt.h"

#include <cctype>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/data/html.h"
#include "engine/data/mojibake.h"
#include "engine/data/unicode.h"
#include "engine/data/windows_1252.h"

namespace baton {
namespace {

// Compatibility letters made of two or three others. U+0149 becomes an apostrophe letter and n.
bool is_ligature(char32_t c) {
  return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1c4 && c <= 0x1cc) || (c >= 0x1f1 && c <= 0x1f3) ||
         (c >= 0xfb00 && c <= 0xfb06);
}

// Ideographic space, full-width and half-width forms.
bool is_odd_width(char32_t c) { return c == 0x3000 || (c >= 0xff01 && c <= 0xffef); }

bool is_dropped_control(char32_t c) {
  return c <= 8 || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || (c >= 0x206a && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffc);
}

// Bytes of an ANSI sequence "ESC [ digits ; … letter" at text[at], 0 where there is none.
size_t terminal_escape(std::string_view text, size_t at) {
  if (text.substr(at, 2) != "\x1b[") return 0;
  size_t end = at + 2;
  while (end < text.size() && (std::isdigit(static_cast<unsigned char>(text[end])) || text[end] == ';')) ++end;
  return end < text.size() && std::isalpha(static_cast<unsigned char>(text[end])) ? end + 1 - at : 0;
}

void append_plain(std::string& result, char32_t c, std::string_view original) {
  c = windows_1252(c);
  if (c == 0xfb05) {  // a long s and t: NFKC would make the long s a short one
    result += "\u017ft";
  } else if (is_ligature(c) || is_odd_width(c)) {
    const std::string normal = to_nfkc(original);
    for (size_t at = 0; at < normal.size();) {
      const size_t here = at;
      const char32_t inner = next_code_point(normal, at);
      if (inner == 0x2bc)
        result += '\'';
      else
        result += normal.substr(here, at - here);
    }
  } else if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) {
    result += '\'';
  } else if (c >= 0x201c && c <= 0x201f) {
    result += '"';
  } else if (c == '\r' || c == 0x2028 || c == 0x2029) {
    result += '\n';
  } else {
    append_code_point(result, c);
  }
}

std::string fix_characters(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const char32_t c = next_code_point(text, at);
    append_plain(plain, c, text.substr(here, at - here));
  }
  std::string result;  // escapes first: their first character is a control character
  for (size_t at = 0; at < plain.size();) {
    if (const size_t escape = terminal_escape(plain, at)) {
      at += escape;
      continue;
    }
    const size_t here = at;
    if (!is_dropped_control(next_code_point(plain, at))) result.append(plain, here, at - here);
  }
  return to_nfc(result);
}

// One line, until nothing changes any more: a reference may hide a ligature, or another reference. (ftfy has no limit:
// "&amp;amp;amp;…" takes it the square of its length.)
std::string fix_line(std::string text, bool unescape) {
  constexpr int deepest = 8;
  for (int depth = 0; depth < deepest; ++depth) {
    std::string fixed = fix_characters(repair_encoding(unescape ? unescape_html(text, /*as_ftfy=*/true) : text));
    if (fixed == text) break;
    text = std::move(fixed);
  }
  return text;
}

// The first piece between two brackets, without others of their kind inside, whose inner text is accepted.
std::string find_enclosed(std::string_view text, std::string_view brackets, bool (*accept)(std::string_view)) {
  for (size_t open = text.find(brackets[0]); open != text.npos;) {
    const size_t next = text.find_first_of(brackets, open + 1);
    if (next == text.npos) break;
    if (text[next] == brackets[1] && accept(text.substr(open + 1, next - open - 1)))
      return std::string(text.substr(open, next + 1 - open));
    open = text[next] == brackets[0] ? next : text.find(brackets[0], next);
  }
  return {};
}

}  // namespace

void check_prompt(std::string_view text, std::string_view where) {
  constexpr size_t limit = 64 << 10;
  check(text.size() <= limit, "{}: {} bytes are too long for a prompt (at most {})", where, text.size(), limit);
  check(text.find('\0') == text.npos, "{}: a NUL byte", where);
  check(is_utf8(text), "{}: not valid UTF-8; save the text as UTF-8", where);
}

std::string clean_prompt(std::string_view text) {
  std::string fixed;
  bool unescape = true;  // up to the first line with a '<', which looks like HTML that is meant as such
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline == text.npos ? newline : newline + 1);
    unescape = unescape && line.find('<') == line.npos;
    fixed += fix_line(std::string(line), unescape);
    text.remove_prefix(line.size());
  }
  return collapse_spaces(unescape_html(unescape_html(fixed)));
}

std::string foreign_syntax(std::string_view text) {
  const auto is_weight = [](std::string_view inner) {  // "red apple:1.3"
    const size_t colon = inner.rfind(':');
    return colon != inner.npos && colon + 1 < inner.size() &&
           inner.find_first_not_of("0123456789. ", colon + 1) == inner.npos;
  };
  const auto is_choice = [](std::string_view inner) { return inner.find('|') != inner.npos; };
  const auto is_adapter = [](std::string_view inner) { return inner.starts_with("lora:"); };
  for (std::string piece : {find_enclosed(text, "()", is_weight), find_enclosed(text, "{}", is_choice),
                            find_enclosed(text, "<>", is_adapter)})
    if (!piece.empty()) return piece;
  return {};
}

}  // namespace baton
