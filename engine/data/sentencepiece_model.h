#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baton {

// A SentencePiece unigram model, taken from spiece.model or tokenizer.json.
struct UnigramModel {
  std::vector<std::pair<std::string, double>> pieces;  // id -> text and log probability
  std::vector<int32_t> set_apart;  // ids of control and user-defined pieces: cut out before anything else
  std::string character_map;       // see CharacterMap
};

// Reads the parts of spiece.model (a protocol buffer, ModelProto) that are needed here; unknown fields are skipped.
// Other model types than unigram are refused. Byte pieces ("<0x41>") stay ordinary pieces, as transformers' T5
// tokenizer never falls back to bytes.
UnigramModel parse_sentencepiece(std::string_view bytes, std::string_view where);

}  // namespace baton
