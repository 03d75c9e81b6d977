#include "engine/data/mojibake.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "engine/core/utf8.h"
#include "engine/data/code_page.h"
#include "engine/data/mojibake_signs.h"
#include "engine/data/windows_1252.h"

namespace baton {
namespace {

std::u32string code_points(std::string_view text) {
  std::u32string points;
  for (size_t at = 0; at < text.size();) points += next_code_point(text, at);
  return points;
}

std::string utf8(std::u32string_view points) {
  std::string text;
  for (const char32_t c : points) append_code_point(text, c);
  return text;
}

// Patterns of bytes, one letter a byte.
bool is_of(char letter, unsigned char byte) {
  const bool continuation = byte >= 0x80 && byte <= 0xbf, lost = byte == 0x1a;
  switch (letter) {
    case 'b':  // lead bytes of two that make likely characters with the byte a0
      return std::string_view("\xc2\xc3\xc5\xce\xd0\xd9").find(static_cast<char>(byte)) != std::string_view::npos;
    case 'l':  // lead bytes of Latin letters
      return byte == 0xc2 || byte == 0xc3;
    case '2':
      return byte >= 0xc2 && byte <= 0xdf;
    case 'p':  // lead bytes of punctuation and kana, and of other scripts as well
      return byte == 0xe2 || byte == 0xe3;
    case 'q':
      return byte >= 0xe0 && byte <= 0xe3;
    case '3':
      return byte >= 0xe0 && byte <= 0xef;
    case 'f':
      return byte == 0xf0;
    case '4':
      return byte >= 0xf0 && byte <= 0xf4;
    case 's':  // first byte of a surrogate, and the second of a high and of a low one
      return byte == 0xed;
    case 'h':
      return byte >= 0xa0 && byte <= 0xaf;
    case 'w':
      return byte >= 0xb0 && byte <= 0xbf;
    case 'c':
      return continuation;
    case 'k':  // those that no program takes for white space
      return continuation && byte != 0x85 && byte != 0xa0;
    case 'C':
      return continuation || lost;
    case 'X':
      return continuation || lost || byte == '?';
    case '!':
      return lost;
    case 'L':
      return lost || byte == '?';
    default:
      return byte == static_cast<unsigned char>(letter);  // itself: ' ', '?'
  }
}

// Replaces what the first fitting pattern covers, from left to right.
template <typename Replace>
std::string replace_patterns(std::string_view bytes, std::span<const std::string_view> patterns,
                             const Replace& replace) {
  std::string result;
  for (size_t at = 0; at < bytes.size();) {
    const auto found = std::ranges::find_if(patterns, [&](std::string_view pattern) {
      return pattern.size() <= bytes.size() - at &&
             std::ranges::equal(pattern, bytes.substr(at, pattern.size()), is_of);
    });
    if (found == patterns.end()) {
      result += bytes[at++];
      continue;
    }
    result += replace(bytes.substr(at, found->size()));
    at += found->size();
  }
  return result;
}

// Programs turn the byte a0 (which Latin-1 shows as a space) into a space: "voilÃ " was "voilà". A word "à" lost its
// a0 to the space behind it, unless what follows shows that it was glued to the next word.
std::string restore_spaces(std::string_view bytes) {
  std::string words;
  for (size_t at = 0; at < bytes.size(); ++at) {
    words += bytes[at];
    if (!bytes.substr(at).starts_with("\xc3 ")) continue;
    const std::string_view rest = bytes.substr(at + 2);
    if (std::ranges::none_of(std::initializer_list<std::string_view>{" ", "quele", "quela", "quilo", "s "},
                             [&](std::string_view next) { return rest.starts_with(next); }))
      words += '\xa0';
  }
  constexpr std::string_view patterns[] = {"b ", "p k", "qk ", "f cc", "fc c", "fcc "};
  return replace_patterns(words, patterns, [](std::string_view found) {
    std::string restored(found);
    std::ranges::replace(restored, ' ', '\xa0');
    return restored;
  });
}

// What lacks some of its bytes becomes U+FFFD, so that the rest can be read.
std::string replace_lost(std::string_view bytes) {
  constexpr std::string_view patterns[] = {"2!", "l?", "shLswX", "shXswL", "3LC", "3CL", "4LCC", "4CLC", "4CCL", "!"};
  return replace_patterns(bytes, patterns, [](std::string_view) { return "\ufffd"; });
}

// UTF-8, also as Java (U+0000 in two bytes) and some databases (characters above U+FFFF as two surrogates) write it.
std::optional<std::string> read_utf8(std::string_view bytes) {
  constexpr std::string_view pair = "shcswc";
  std::string plain;
  for (size_t at = 0; at < bytes.size();) {
    const std::string_view rest = bytes.substr(at);
    if (rest.starts_with("\xc0\x80")) {
      plain += '\0';
      at += 2;
    } else if (rest.size() >= pair.size() && std::ranges::equal(pair, rest.substr(0, pair.size()), is_of)) {
      const auto bits = [&](size_t i, char32_t mask) { return static_cast<unsigned char>(rest[i]) & mask; };
      append_code_point(plain,
                        0x10000 + (bits(1, 0xf) << 16 | bits(2, 0x3f) << 10 | bits(4, 0xf) << 6 | bits(5, 0x3f)));
      at += pair.size();
    } else {
      plain += bytes[at++];
    }
  }
  if (!is_utf8(plain)) return std::nullopt;
  return plain;
}

// What bytes of UTF-8 a character may have been, in the encodings that have letters where Latin-1 has.
enum Clue : uint8_t { first_of_2 = 1, first_of_3 = 2, first_of_4 = 4, later = 8, surely_later = 16 };

uint8_t clues_of_byte(int byte) {
  if (byte <= 0xbf) return later | surely_later;
  if (byte >= 0xc2 && byte <= 0xdf) return first_of_2;
  if (byte >= 0xe0 && byte <= 0xef) return first_of_3;
  return byte == 0xf0 || byte == 0xf3 ? first_of_4 : 0;
}

uint8_t clues_of(char32_t c) {
  static const std::unordered_map<char32_t, uint8_t> clues = [] {
    std::unordered_map<char32_t, uint8_t> found{{U' ', later}};
    for (const CodePage& page : code_pages())
      if (page.name() == "latin-1" || page.name().starts_with("windows"))
        for (int byte = 0x80; byte <= 0xff; ++byte) found[page.high(byte)] |= clues_of_byte(byte);
    for (const char32_t mark : std::u32string_view(U"–—―‘’‚“”„•…"))
      found[mark] &= ~surely_later;  // as likely themselves
    return found;
  }();
  const auto found = clues.find(c);
  return found == clues.end() ? 0 : found->second;
}

// The end of a run of characters that could each be one of UTF-8, from `at` on.
size_t end_of_run(std::u32string_view text, size_t at) {
  const auto followed = [&](size_t count) {
    const std::u32string_view rest = text.substr(at + 1, count);
    return rest.size() == count && std::ranges::all_of(rest, [](char32_t c) { return clues_of(c) & later; });
  };
  while (at < text.size()) {
    const uint8_t clues = clues_of(text[at]);
    if ((clues & first_of_2) && followed(1))
      at += 2;
    else if ((clues & first_of_3) && followed(2))
      at += 3;
    else if ((clues & first_of_4) && followed(3))
      at += 4;
    else
      break;
  }
  return at;
}

// Repairs runs inside a text whose other parts are of another encoding, or sound.
std::string repair_runs(std::u32string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const bool inside = at > 0 && (clues_of(text[at - 1]) & surely_later);
    const size_t end = inside ? at : end_of_run(text, at);
    const std::u32string_view run = text.substr(at, std::max<size_t>(1, end - at));
    const bool repaired = end > at && run.size() < text.size() && looks_garbled(run);
    result += repaired ? repair_encoding(utf8(run)) : utf8(run);
    at += run.size();
  }
  return result;
}

std::string repair_once(const std::string& text) {
  const std::u32string points = code_points(text);
  if (std::ranges::all_of(points, [](char32_t c) { return c < 0x80; }) || !looks_garbled(points)) return text;
  for (const CodePage& page : code_pages()) {
    std::optional<std::string> bytes = page.encode(points);
    if (!bytes) continue;
    if (page.name() != "macroman") bytes = restore_spaces(*bytes);  // there d0 and a space are a dash and a space
    if (page.marks_lost_bytes()) bytes = replace_lost(*bytes);
    if (std::optional<std::string> read = read_utf8(*bytes)) return *read;
  }
  if (std::string repaired = repair_runs(points); repaired != text) return repaired;
  std::string windows;
  for (const char32_t c : points) append_code_point(windows, windows_1252(c));
  return windows;
}

}  // namespace

std::string repair_encoding(std::string_view text) {
  constexpr int most = 8;  // times that anyone mistook an encoding; "ÂÂÂ…©" would be repaired a letter at a time
  std::string repaired(text);
  for (int times = 0; times < most; ++times) {
    std::string before = std::exchange(repaired, {});
    repaired = repair_once(before);
    if (repaired == before) break;
  }
  return repaired;
}

}  // namespace baton
