#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file.h"

namespace baton {

struct Tokens {
  std::vector<int32_t> ids;  // exactly max_length: `used` ids of the text, special ones among them, then padding
  int64_t used = 0;
  bool cut = false;      // the text needed more than max_length ids
  std::string cut_text;  // what the model will not see, as the tokenizer reads it, for the message
};

// A piece of text that stands for one id wherever it appears, and is never split: "</s>", "<|endoftext|>",
// "<extra_id_0>". transformers' lstrip and rstrip take the white space beside it along, which parts words here anyway.
struct AddedToken {
  std::string text;
  int32_t id;
  bool normalized = false;   // looked for in the normalized text, not in the raw one
  bool single_word = false;  // not where a letter, digit or underscore touches it
};

// Turns text into ids as transformers' tokenizers do. Thread-safe once built.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // `text` is well-formed UTF-8, cleaned or not; at least the special tokens must fit into max_length.
  Tokens encode(std::string_view text, int64_t max_length) const;
  int64_t size() const { return size_; }  // ids are below this

 protected:
  virtual std::string normalize(std::string_view text) const = 0;
  // Appends the ids of a piece of normalized text without added tokens in it.
  virtual void append_ids(std::string_view text, std::vector<int32_t>& ids) const = 0;
  virtual std::string text_of(std::span<const int32_t> ids) const = 0;

  std::vector<AddedToken> added_;
  std::optional<int32_t> begin_, end_;  // put around every text
  int32_t padding_ = 0;
  int64_t size_ = 0;

 private:
  void append_split(std::string_view text, bool normalized, std::vector<int32_t>& ids) const;
};

// Opens a tokenizer folder of a diffusers pipeline: T5 and UMT5 (spiece.model, or a tokenizer.json with a Unigram
// model), CLIP (vocab.json and merges.txt, or a tokenizer.json with a BPE model), as any version of transformers saves
// them. Anything else is refused with a message that names what is supported.
std::unique_ptr<Tokenizer> open_tokenizer(const Path& folder);

}  // namespace baton
