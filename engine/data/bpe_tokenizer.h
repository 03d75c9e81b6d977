#pragma once

#include <unordered_map>

#include "engine/data/tokenizer.h"
#include "engine/io/json.h"

namespace baton {

class TokenizerFiles;

// CLIP's byte-level byte-pair encoding, with the ids of transformers' CLIPTokenizer (which cleans no text): NFC, white
// space to single spaces, small letters; words are runs of letters, single digits and runs of other characters;
// "<|startoftext|>" and "<|endoftext|>" go around.
class BpeTokenizer : public Tokenizer {
 public:
  explicit BpeTokenizer(const TokenizerFiles& files);

 protected:
  std::string normalize(std::string_view text) const override;
  void append_ids(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string text_of(std::span<const int32_t> ids) const override;

 private:
  struct Merge {
    int32_t rank;    // lower goes first
    int32_t result;  // id of the joined piece
  };
  void add_vocabulary(const Json& vocabulary, const std::string& where);
  void add_merges_text(const std::string& lines, const std::string& where);
  void add_merge(const std::string& pair, const std::string& where);  // "left right"
  void add_merge(const std::string& left, const std::string& right, const std::string& where);
  void set_special_tokens(const TokenizerFiles& files, const std::string& where);
  void append_word(std::string_view word, std::vector<int32_t>& ids) const;
  const Merge* merge_of(int32_t left, int32_t right) const;

  std::unordered_map<std::string, int32_t> vocabulary_;
  std::unordered_map<int32_t, std::string> texts_;
  std::unordered_map<uint64_t, Merge> merges_;  // by both ids
  int32_t unknown_ = 0;
};

}  // namespace baton
