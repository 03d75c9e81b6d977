#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

// SentencePiece's compiled normalization table ("precompiled_charsmap"): a double-array trie from character sequences
// to replacements. Layout: u32 bytes of the trie, the trie's u32 units, then the replacements, each ended by NUL; all
// little-endian.
class CharacterMap {
 public:
  CharacterMap() = default;  // changes nothing
  CharacterMap(std::string_view blob, std::string_view where);

  // As transformers' tokenizers apply it: a grapheme of less than six bytes is replaced as a whole by what its shortest
  // known beginning maps to; other graphemes code point by code point.
  std::string apply(std::string_view text) const;

 private:
  std::optional<std::string_view> find(std::string_view key) const;  // for the shortest known beginning of key

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace baton
