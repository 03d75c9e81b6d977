#include "engine/data/character_map.h"

#include <cstring>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/data/unicode.h"

namespace baton {
namespace {

// A unit of the double array: children of the unit at position p with offset o sit at (p ^ o ^ label); a unit that ends
// a key has its value in the child with label 0.
bool ends_key(uint32_t unit) { return unit >> 8 & 1; }
uint32_t value_of(uint32_t unit) { return unit & 0x7fffffff; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000ff; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

CharacterMap::CharacterMap(std::string_view blob, std::string_view where) {
  if (blob.empty()) return;
  uint32_t size = 0;
  check(blob.size() >= sizeof size, "{}: the normalization table is truncated", where);
  std::memcpy(&size, blob.data(), sizeof size);
  blob.remove_prefix(sizeof size);
  check(size % 4 == 0 && size > 0 && size < blob.size(), "{}: the normalization table is truncated", where);
  units_.resize(size / 4);
  std::memcpy(units_.data(), blob.data(), size);
  replacements_ = blob.substr(size);
  check(is_utf8(replacements_) && replacements_.back() == '\0',
        "{}: the normalization table's replacements are damaged", where);
}

std::optional<std::string_view> CharacterMap::find(std::string_view key) const {
  if (units_.empty()) return std::nullopt;
  uint32_t position = offset_of(units_[0]);
  for (const char c : key) {
    const auto label = static_cast<unsigned char>(c);
    position ^= label;
    if (label == 0 || position >= units_.size() || label_of(units_[position]) != label) return std::nullopt;
    const bool found = ends_key(units_[position]);
    position ^= offset_of(units_[position]);
    if (!found) continue;
    if (position >= units_.size()) return std::nullopt;
    const uint32_t value = value_of(units_[position]);
    // The end of the last replacement is the end of the table, so that a lying value cannot lead out of it.
    if (value >= replacements_.size() || (static_cast<unsigned char>(replacements_[value]) & 0xc0) == 0x80)
      return std::nullopt;
    return std::string_view(replacements_.c_str() + value);
  }
  return std::nullopt;
}

std::string CharacterMap::apply(std::string_view text) const {
  if (units_.empty()) return std::string(text);
  std::string result;
  for (const std::string_view grapheme : graphemes(text)) {
    if (grapheme.size() < 6) {
      if (const auto whole = find(grapheme)) {
        result += *whole;
        continue;
      }
    }
    for (size_t at = 0; at < grapheme.size();) {
      const size_t here = at;
      next_code_point(grapheme, at);
      const std::string_view one = grapheme.substr(here, at - here);
      result += find(one).value_or(one);
    }
  }
  return result;
}

}  // namespace baton
