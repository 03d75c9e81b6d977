#include "engine/data/tokenizer.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/core/utf8.h"
#include "engine/data/bpe_tokenizer.h"
#include "engine/data/tokenizer_files.h"
#include "engine/data/unicode.h"
#include "engine/data/unigram_tokenizer.h"

namespace baton {
namespace {

bool is_word(char32_t c) { return is_letter(c) || is_number(c) || c == '_'; }

// Whether the piece of `text` from `begin` to `end` has no letter, digit or underscore at either side.
bool stands_alone(std::string_view text, size_t begin, size_t end) {
  size_t before = begin;
  while (before > 0 && (text[--before] & 0xc0) == 0x80) {
  }
  return (begin == 0 || !is_word(next_code_point(text, before))) &&
         (end == text.size() || !is_word(next_code_point(text, end)));
}

}  // namespace

// Added tokens are cut out first: those that are looked for in the raw text, and in what lies between them, normalized,
// the others. Leftmost match first, the longest of several.
void Tokenizer::append_split(std::string_view text, bool normalized, std::vector<int32_t>& ids) const {
  const auto append_between = [&](std::string_view between) {
    if (between.empty()) return;
    if (normalized)
      append_ids(between, ids);
    else
      append_split(normalize(between), true, ids);
  };
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* match = nullptr;
    for (const AddedToken& token : added_)
      if (token.normalized == normalized && text.substr(at).starts_with(token.text) &&
          (!match || token.text.size() > match->text.size()))
        match = &token;
    const size_t end = at + (match ? match->text.size() : 1);
    if (!match || (match->single_word && !stands_alone(text, at, end))) {
      at = end;
      continue;
    }
    append_between(text.substr(begin, at - begin));
    ids.push_back(match->id);
    begin = at = end;
  }
  append_between(text.substr(begin));
}

Tokens Tokenizer::encode(std::string_view text, int64_t max_length) const {
  require(is_utf8(text), "tokenizer: the text is not valid UTF-8");
  const int64_t around = begin_.has_value() + end_.has_value();
  check(max_length >= around, "tokenizer: {} tokens are too few, {} stand around every text", max_length, around);
  std::vector<int32_t> ids;
  append_split(text, false, ids);

  Tokens tokens;
  const size_t room = max_length - around;
  if (ids.size() > room) {
    tokens.cut = true;
    tokens.cut_text = text_of(std::span(ids).subspan(room));
    ids.resize(room);
  }
  if (begin_) tokens.ids.push_back(*begin_);
  tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
  if (end_) tokens.ids.push_back(*end_);
  tokens.used = static_cast<int64_t>(tokens.ids.size());
  tokens.ids.resize(max_length, padding_);
  return tokens;
}

std::unique_ptr<Tokenizer> open_tokenizer(const Path& folder) {
  const TokenizerFiles files(folder);
  if (files.is_unigram()) return std::make_unique<UnigramTokenizer>(files);
  return std::make_unique<BpeTokenizer>(files);
}

}  // namespace baton
