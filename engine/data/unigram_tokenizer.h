#pragma once

#include <unordered_map>

#include "engine/data/character_map.h"
#include "engine/data/sentencepiece_model.h"
#include "engine/data/tokenizer.h"

namespace baton {

class TokenizerFiles;

// The tokenizer of T5 and UMT5, with the ids of transformers' T5Tokenizer: normalize, split at white space, put "▁"
// before each word, and take the most probable sequence of pieces for each word (Viterbi); "</s>" ends the text,
// "<pad>" pads it.
//
// SentencePiece's own library would give other ids in places: it maps characters without regard to graphemes, uses byte
// pieces, and does not know added tokens. The model file is its; the search is this short.
class UnigramTokenizer : public Tokenizer {
 public:
  explicit UnigramTokenizer(const TokenizerFiles& files);

 protected:
  std::string normalize(std::string_view text) const override;
  void append_ids(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string text_of(std::span<const int32_t> ids) const override;

 private:
  void index_pieces(const std::string& where);
  void append_word(std::string_view word, std::vector<int32_t>& ids) const;

  UnigramModel model_;
  CharacterMap character_map_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views of model_.pieces; of equal pieces the last counts
  size_t longest_ = 0;                                 // bytes of the longest piece
  double unknown_score_ = 0;
};

}  // namespace baton
