#include "engine/data/unigram_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/data/tokenizer_files.h"
#include "engine/data/unicode.h"

namespace baton {
namespace {

constexpr std::string_view word_start = "\u2581";  // ▁
constexpr int32_t unknown_id = 2;                  // in every T5 vocabulary: <pad> </s> <unk>

std::string decode_base64(const std::string& text, const std::string& where) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const size_t digit = digits.find(c);
    check(digit != digits.npos, "{}: the normalization table is not valid base64", where);
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}

// The normalizer of tokenizer.json is one or a "Sequence" of them. One of them may hold the table of characters; those
// that only touch white space change nothing here.
std::string find_character_map(const Json& file, const std::string& where) {
  const auto normalizer = file.find("normalizer");
  if (normalizer == file.end() || !normalizer->is_object()) return "";
  const auto list = normalizer->find("normalizers");
  const Json all = list != normalizer->end() ? *list : Json::array({*normalizer});
  std::string map;
  for (const Json& one : all) {
    const std::string type = as_text(member(one, "type", where), where);
    if (type == "Precompiled")
      map = decode_base64(as_text(member(one, "precompiled_charsmap", where), where), where);
    else if (type == "Replace")
      check(one.value("content", Json()) == " " || one.value("content", Json()) == word_start,
            "{}: a normalizer that replaces characters is not supported", where);
    else
      check(type == "Strip", "{}: the normalizer {} is not supported", where, type);
  }
  return map;
}

UnigramModel parse_fast(const Json& file, const std::string& where) {
  UnigramModel model;
  const Json& source = member(file, "model", where);
  check(as_text(member(source, "type", where), where) == "Unigram", "{}: the model is not of type Unigram", where);
  const Json& vocabulary = member(source, "vocab", where);
  check(vocabulary.is_array(), "{}: vocab is not a list", where);
  for (const Json& entry : vocabulary) {  // ["▁the", -3.29]
    check(entry.is_array() && entry.size() == 2 && entry[1].is_number(), "{}: a vocab entry is not [text, number]",
          where);
    model.pieces.emplace_back(as_text(entry[0], where), entry[1].get<double>());
  }
  model.character_map = find_character_map(file, where);
  return model;
}

}  // namespace

UnigramTokenizer::UnigramTokenizer(const TokenizerFiles& files) {
  const bool compiled = files.has("spiece.model");
  const Path path = files.folder() / (compiled ? "spiece.model" : "tokenizer.json");
  const std::string where = path.string();
  if (compiled) {
    model_ = parse_sentencepiece(read_file(path, 64 << 20), where);
    const int64_t extra = files.number("extra_ids", 100), most_extra = 10'000;
    check(extra <= most_extra, "{}: extra_ids: {}, at most {} are supported", files.folder().string(), extra,
          most_extra);
    for (int64_t i = extra; i-- > 0;) model_.pieces.emplace_back(fmt::format("<extra_id_{}>", i), 0.0);
  } else {
    model_ = parse_fast(files.fast(), where);
  }
  index_pieces(where);
  character_map_ = CharacterMap(model_.character_map, where);

  const auto id_of = [&](const std::string& text) {
    const auto found = ids_.find(text);
    check(found != ids_.end(), "{}: the special token '{}' is not in the vocabulary", where, text);
    return found->second;
  };
  const std::string end = files.special_token("eos_token", "</s>"), padding = files.special_token("pad_token", "<pad>"),
                    unknown = files.special_token("unk_token", "<unk>");
  end_ = id_of(end);
  padding_ = id_of(padding);
  check(id_of(unknown) == unknown_id, "{}: '{}' has the id {}, T5 vocabularies have it at {}", where, unknown,
        id_of(unknown), unknown_id);

  added_ = files.added_tokens({"eos_token", "pad_token", "unk_token"});
  for (const std::string& text : {end, padding, unknown}) added_.push_back({text, -1});
  for (const int32_t id : model_.set_apart) added_.push_back({model_.pieces[id].first, id});
  for (const auto& [piece, score] : model_.pieces)
    if (piece.starts_with("<extra_id_")) added_.push_back({piece, -1});
  for (AddedToken& token : added_) {
    check(!token.text.empty(), "{}: an added token without text", where);
    if (token.id < 0) token.id = id_of(token.text);
    size_ = std::max<int64_t>(size_, token.id + 1);
  }
}

void UnigramTokenizer::index_pieces(const std::string& where) {
  check(model_.pieces.size() > unknown_id, "{}: a vocabulary of {} pieces", where, model_.pieces.size());
  double least = std::numeric_limits<double>::infinity();
  ids_.reserve(model_.pieces.size());
  for (size_t id = 0; id < model_.pieces.size(); ++id) {
    const auto& [piece, score] = model_.pieces[id];
    check(is_utf8(piece) && piece.size() <= 1024 && std::isfinite(score), "{}: piece {} is damaged", where, id);
    ids_.insert_or_assign(piece, static_cast<int32_t>(id));
    longest_ = std::max(longest_, piece.size());
    least = std::min(least, score);
  }
  unknown_score_ = least - 10;  // SentencePiece's penalty for a character that no piece covers
  size_ = static_cast<int64_t>(model_.pieces.size());
}

std::string UnigramTokenizer::normalize(std::string_view text) const { return character_map_.apply(text); }

void UnigramTokenizer::append_ids(std::string_view text, std::vector<int32_t>& ids) const {
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) append_word(word, ids);
    word.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const char32_t c = next_code_point(text, at);
    const std::string_view one = text.substr(here, at - here);
    if (is_space(c)) {
      flush();
      continue;
    }
    if (one == word_start)
      flush();  // written out in the text it starts a word, too
    else if (word.empty())
      word = word_start;
    word += one;
  }
  flush();
}

// best[i]: the most probable pieces that make up the word's first i bytes.
void UnigramTokenizer::append_word(std::string_view word, std::vector<int32_t>& ids) const {
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    size_t begin = 0;  // of the last piece
    int32_t id = -1;   // of the last piece; -1: not reached
  };
  std::vector<Best> best(word.size() + 1);
  best[0].score = 0;
  const auto offer = [&](size_t begin, size_t end, double score, int32_t id) {
    score += best[begin].score;
    if (best[end].id < 0 || score > best[end].score) best[end] = {score, begin, id};
  };
  for (size_t begin = 0; begin < word.size();) {
    size_t end = begin;
    next_code_point(word, end);
    const size_t next = end;
    bool covered = false;
    for (;;) {
      if (const auto found = ids_.find(word.substr(begin, end - begin)); found != ids_.end()) {
        offer(begin, end, model_.pieces[found->second].second, found->second);
        covered = covered || end == next;
      }
      if (end == word.size() || end - begin >= longest_) break;
      next_code_point(word, end);
    }
    if (!covered) offer(begin, next, unknown_score_, unknown_id);
    begin = next;
  }
  const size_t first = ids.size();
  for (size_t end = word.size(); end > 0; end = best[end].begin)
    if (best[end].id != unknown_id || ids.size() == first ||
        ids.back() != unknown_id)  // a run of unknown characters is one id
      ids.push_back(best[end].id);
  std::reverse(ids.begin() + static_cast<int64_t>(first), ids.end());
}

std::string UnigramTokenizer::text_of(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids)
    if (static_cast<size_t>(id) < model_.pieces.size()) {
      std::string_view piece = model_.pieces[id].first;
      if (piece.starts_with(word_start)) {
        if (!text.empty()) text += ' ';
        piece.remove_prefix(word_start.size());
      }
      text += piece;
    }
  return text;
}

}  // namespace baton
