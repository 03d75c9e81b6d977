#include "engine/data/mojibake_signs.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/data/unicode.h"

namespace baton {
namespace {

using Kinds = uint32_t;

// The characters that come up in such texts, by what they are in clean ones.
constexpr Kinds common = 1 << 0, c1 = 1 << 1, bad = 1 << 2, law = 1 << 3, currency = 1 << 4, start = 1 << 5,
                end = 1 << 6, numeric = 1 << 7, kaomoji = 1 << 8, upper = 1 << 9, lower = 1 << 10,
                upper_common = 1 << 11, lower_common = 1 << 12, box = 1 << 13;
// Of any character.
constexpr Kinds ascii_upper = 1 << 14, ascii_lower = 1 << 15, no_letter = 1 << 16, space = 1 << 17, word = 1 << 18,
                in_line = 1 << 19;

// "a-z" is a range.
constexpr std::pair<Kinds, std::u32string_view> members[] = {
    {common, U"\u00a0\u00ad·´–-―’…"},
    {c1, U"\u0080-\u009f"},
    {bad, U"¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\ufffd"},
    {law, U"§¶"},
    {currency, U"¢£¥₧€"},
    {start, U"¡©«¿΄΅‘‚“„•‹\uf8ff"},  // punctuation; the last is Apple's logo
    {end, U"®»˝”›™"},
    {numeric, U"±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"},
    {kaomoji, U"°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"},  // eyes and mouths of faces
    {upper, U"À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"},
    {lower, U"ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"},
    {upper_common, U"ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я"},  // of alphabets that have words of nothing else
    {lower_common, U"ά-ωа-џ"},
    {box, U"│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"},
};

std::unordered_map<char32_t, Kinds> list_members() {
  std::unordered_map<char32_t, Kinds> kinds;
  for (const auto& [kind, text] : members)
    for (size_t i = 0; i < text.size(); ++i) {
      const bool range = i + 2 < text.size() && text[i + 1] == '-';
      for (char32_t c = text[i]; c <= text[range ? i + 2 : i]; ++c) kinds[c] |= kind;
      if (range) i += 2;
    }
  return kinds;
}

Kinds kinds_of(char32_t c) {
  static const std::unordered_map<char32_t, Kinds> listed = list_members();
  const auto found = listed.find(c);
  Kinds kinds = found == listed.end() ? 0 : found->second;
  if (c >= 'A' && c <= 'Z')
    kinds |= ascii_upper;
  else if (c >= 'a' && c <= 'z')
    kinds |= ascii_lower;
  else
    kinds |= no_letter;
  if (is_space(c) || (c >= 0x1c && c <= 0x1f)) kinds |= space;
  if (is_letter(c) || is_number(c) || c == '_') kinds |= word;
  if (c != '\n') kinds |= in_line;
  return kinds;
}

// One character of a rule: of any of these kinds, or one of these.
struct Sign {
  Kinds kinds = 0;
  std::u32string_view characters = {};
  bool fits(char32_t c, Kinds kinds_of_c) const {
    return (kinds & kinds_of_c) != 0 || characters.find(c) != characters.npos;
  }
};
using Rule = std::vector<Sign>;

constexpr Kinds letter = ascii_upper | ascii_lower, accented = upper | lower, marks = start | end;
constexpr Kinds odd = accented | box | marks | currency | numeric | law;
constexpr Sign arabic{common | currency | bad | numeric | start, U"ŸŠ®°µ»"};
constexpr Sign within_cyrillic{c1 | bad | marks | currency, U"°µ"}, within_greek{c1 | bad | marks | currency, U"°"};

const std::vector<Rule> rules{
    {{c1}},
    {{odd | bad}, {bad}},
    {{letter}, {lower_common | upper_common}, {bad}},
    {{bad}, {odd}},
    {{lower | lower_common | box | end | currency | numeric}, {upper}},
    {{box | end | currency | numeric}, {lower}},
    {{lower | box | end}, {currency}},
    {{space}, {upper}, {currency}},
    {{upper | box}, {numeric | law}},
    {{accented | box | currency | end}, {start}, {numeric}},
    {{accented | currency | numeric | box | law}, {end}, {start}},
    {{currency | numeric | box}, {start}},
    {{ascii_lower}, {upper}, {start | currency}},
    {{box}, {kaomoji}},
    {{accented | currency | numeric | marks | law}, {box}},
    {{box}, {end}},
    {{accented}, {marks}, {word}},
    {{0, U"Œœ"}, {no_letter}},
    {{upper}, {0, U"°"}},
    // UTF-8 as Windows-1252: two bytes; Arabic, of which two letters must be there; South Asian alphabets
    {{0, U"ÂÃÎÐ"}, {marks, U"€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"}},
    {{0, U"×"}, {0, U"²³"}},
    {{0, U"ØÙ"}, arabic, {0, U"ØÙ"}, arabic},
    {{0, U"à"}, {0, U"²µ¹¼½¾"}},
    // … as MacRoman
    {{0, U"√"}, {0, U"±∂†≠®™´≤≥¥µø"}},
    {{0, U"≈"}, {0, U"°¢"}},
    {{0, U"‚"}, {0, U"Ä"}, {0, U"ìîïòôúùû†°¢π"}},
    {{0, U"‚"}, {0, U"âó"}, {0, U"àä°ê"}},
    // … as Windows-1251: punctuation, Latin-1 or Cyrillic letters, and what was Windows-1252 before
    {{0, U"в"}, {0, U"Ђ"}},
    {{0, U"ВГРС"}, within_cyrillic, {0, U"ВГРС"}},
    {{0, U"Г"}, {0, U"ў"}, {0, U"В"}, {0, U"Ђ"}, {0, U"В"}, {in_line}, {letter, U" "}},
    // à, á and the space that does not break, as Windows-1252
    {{0, U"Ã"}, {0, U"\u00a0¡"}},
    {{ascii_lower}, {0, U"ÃÂ"}, {0, U" "}},
    {{ascii_lower}, {space}, {0, U"ÃÂ"}, {0, U" "}},
    {{ascii_lower | end, U".,?!"}, {0, U"Â"}, {marks, U" "}},
    // … as Windows-1253, and as Windows-1257
    {{0, U"β"}, {0, U"€"}, {0, U"™\u00a0Ά\u00ad®°"}},
    {{0, U"ΒΓΞΟ"}, within_greek, {0, U"ΒΓΞΟ"}},
    {{0, U"ā"}, {0, U"€"}},
};
const Rule at_the_start{{0, U"ÃÂ"}, {0, U" "}};

}  // namespace

bool looks_garbled(std::u32string_view text) {
  std::vector<Kinds> kinds;
  for (const char32_t c : text) kinds.push_back(kinds_of(c));
  const auto fits = [&](const Rule& rule, size_t at) {
    if (rule.size() > text.size() - at) return false;
    for (size_t i = 0; i < rule.size(); ++i)
      if (!rule[i].fits(text[at + i], kinds[at + i])) return false;
    return true;
  };
  if (fits(at_the_start, 0)) return true;
  for (size_t at = 0; at < text.size(); ++at)
    for (const Rule& rule : rules)
      if (fits(rule, at)) return true;
  return false;
}

}  // namespace baton
