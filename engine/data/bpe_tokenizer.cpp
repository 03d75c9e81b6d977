#include "engine/data/bpe_tokenizer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <queue>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/data/tokenizer_files.h"
#include "engine/data/unicode.h"

namespace baton {
namespace {

constexpr std::string_view word_end = "</w>";

// Vocabularies write each byte as one visible character: itself where it is one in Latin-1, else a character from
// U+0100 on.
std::array<char32_t, 256> make_byte_characters() {
  std::array<char32_t, 256> characters;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters[byte] = visible ? byte : next++;
  }
  return characters;
}
const std::array<char32_t, 256> byte_characters = make_byte_characters();

// Bytes of an English ending after an apostrophe ("'s", "'re"), 0 where there is none.
size_t contraction(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
    if (text.starts_with(ending)) return ending.size();
  return 0;
}

enum class Kind { space, letter, number, other };
Kind kind_of(char32_t c) {
  return is_space(c) ? Kind::space : is_letter(c) ? Kind::letter : is_number(c) ? Kind::number : Kind::other;
}

}  // namespace

BpeTokenizer::BpeTokenizer(const TokenizerFiles& files) {
  const bool plain = files.has("vocab.json") && files.has("merges.txt");
  const std::string where = (files.folder() / (plain ? "vocab.json" : "tokenizer.json")).string();
  if (plain) {
    add_vocabulary(read_json(files.folder() / "vocab.json", 64 << 20), where);
    const Path merges = files.folder() / "merges.txt";
    add_merges_text(read_file(merges, 64 << 20), merges.string());
  } else {
    const Json& model = member(files.fast(), "model", where);
    add_vocabulary(member(model, "vocab", where), where);
    for (const Json& merge : member(model, "merges", where)) {  // "a b" or ["a", "b"]
      if (merge.is_array() && merge.size() == 2)
        add_merge(as_text(merge[0], where), as_text(merge[1], where), where);
      else
        add_merge(as_text(merge, where), where);
    }
  }
  set_special_tokens(files, where);
}

void BpeTokenizer::add_vocabulary(const Json& vocabulary, const std::string& where) {
  check(vocabulary.is_object(), "{}: the vocabulary is not an object", where);
  for (const auto& [text, value] : vocabulary.items()) {
    const int32_t id = as_id(value, where);
    vocabulary_.emplace(text, id);
    texts_.emplace(id, text);
    size_ = std::max<int64_t>(size_, id + 1);
  }
}

void BpeTokenizer::add_merges_text(const std::string& lines, const std::string& where) {
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    std::string line = lines.substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) add_merge(line, where);
  }
}

void BpeTokenizer::add_merge(const std::string& pair, const std::string& where) {
  const size_t space = pair.find(' ');
  check(space != pair.npos, "{}: the merge '{}' is not two pieces", where, utf8_prefix(pair, 40));
  add_merge(pair.substr(0, space), pair.substr(space + 1), where);
}

void BpeTokenizer::set_special_tokens(const TokenizerFiles& files, const std::string& where) {
  const auto id_of = [&](const std::string& text) {
    const auto found = vocabulary_.find(text);
    check(found != vocabulary_.end(), "{}: the special token '{}' is not in the vocabulary", where, text);
    return found->second;
  };
  constexpr const char* end_text = "<|endoftext|>";
  const std::string begin = files.special_token("bos_token", "<|startoftext|>"),
                    end = files.special_token("eos_token", end_text),
                    padding = files.special_token("pad_token", end_text),
                    unknown = files.special_token("unk_token", end_text);
  begin_ = id_of(begin);
  end_ = id_of(end);
  padding_ = id_of(padding);
  unknown_ = id_of(unknown);
  added_ = files.added_tokens({"bos_token", "eos_token", "pad_token", "unk_token"});
  for (const std::string& text : {begin, end, padding, unknown}) {
    const bool listed =
        std::any_of(added_.begin(), added_.end(), [&](const AddedToken& token) { return token.text == text; });
    if (!listed) added_.push_back({text, -1});
  }
  for (AddedToken& token : added_) {
    check(!token.text.empty(), "{}: an added token without text", where);
    if (token.id < 0) token.id = id_of(token.text);
    size_ = std::max<int64_t>(size_, token.id + 1);
  }
}

void BpeTokenizer::add_merge(const std::string& left, const std::string& right, const std::string& where) {
  const auto id_of = [&](const std::string& text) {
    const auto found = vocabulary_.find(text);
    check(found != vocabulary_.end(), "{}: the piece '{}' is not in the vocabulary", where, text);
    return found->second;
  };
  const uint64_t key = static_cast<uint64_t>(id_of(left)) << 32 | static_cast<uint32_t>(id_of(right));
  merges_[key] = {static_cast<int32_t>(merges_.size()), id_of(left + right)};
}

const BpeTokenizer::Merge* BpeTokenizer::merge_of(int32_t left, int32_t right) const {
  const auto found = merges_.find(static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::string BpeTokenizer::normalize(std::string_view text) const { return to_lower(to_nfc(text)); }

void BpeTokenizer::append_ids(std::string_view text, std::vector<int32_t>& ids) const {
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const Kind kind = kind_of(next_code_point(text, at));
    if (kind == Kind::space) continue;
    if (const size_t ending = contraction(text.substr(begin))) {
      at = begin + ending;
    } else if (kind != Kind::number) {
      for (size_t next = at; next < text.size() && kind_of(next_code_point(text, next)) == kind; at = next) {
      }
    }
    append_word(text.substr(begin, at - begin), ids);
  }
}

// Joins the pair of neighbours that was learnt first, leftmost of equals, until no pair is known. A queue of candidates
// and a doubly linked list of pieces keep this at n log n for words of any length.
void BpeTokenizer::append_word(std::string_view word, std::vector<int32_t>& ids) const {
  struct Piece {
    int32_t id, previous, next;  // neighbours, -1 at the ends; id -1: joined to the one before
  };
  std::vector<Piece> pieces;
  for (size_t i = 0; i < word.size(); ++i) {
    std::string text;
    append_code_point(text, byte_characters[static_cast<unsigned char>(word[i])]);
    if (i + 1 == word.size()) text += word_end;
    const auto found = vocabulary_.find(text);
    const int32_t here = static_cast<int32_t>(i);
    pieces.push_back(
        {found == vocabulary_.end() ? unknown_ : found->second, here - 1, i + 1 == word.size() ? -1 : here + 1});
  }
  struct Candidate {
    int32_t rank, left, result;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t left) {
    if (left < 0 || pieces[left].next < 0) return;
    if (const Merge* merge = merge_of(pieces[left].id, pieces[pieces[left].next].id))
      queue.push({merge->rank, left, merge->result});
  };
  for (size_t i = 0; i < pieces.size(); ++i) offer(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Piece& left = pieces[best.left];
    if (left.id < 0 || left.next < 0) continue;
    const Merge* merge = merge_of(left.id, pieces[left.next].id);
    if (!merge || merge->result != best.result) continue;  // a neighbour has changed since
    Piece& right = pieces[left.next];
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) pieces[left.next].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
  for (int32_t i = pieces.empty() ? -1 : 0; i >= 0; i = pieces[i].next) ids.push_back(pieces[i].id);
}

std::string BpeTokenizer::text_of(std::span<const int32_t> ids) const {
  std::unordered_map<char32_t, char> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace(byte_characters[byte], static_cast<char>(byte));
  std::string text;
  for (const int32_t id : ids) {
    const auto found = texts_.find(id);
    if (found == texts_.end()) continue;
    std::string_view piece = found->second;
    const bool ends = piece.ends_with(word_end);
    if (ends) piece.remove_suffix(word_end.size());
    for (size_t at = 0; at < piece.size();)
      if (const auto byte = bytes.find(next_code_point(piece, at)); byte != bytes.end()) text += byte->second;
    if (ends) text += ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

}  // namespace baton
