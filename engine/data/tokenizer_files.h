#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/tokenizer.h"
#include "engine/io/json.h"

namespace baton {

// What a tokenizer folder says apart from the vocabulary: class, special tokens, added tokens. transformers spreads it
// over tokenizer_config.json, special_tokens_map.json, added_tokens.json and tokenizer.json, of which any may be
// missing.
class TokenizerFiles {
 public:
  explicit TokenizerFiles(const Path& folder);

  const Path& folder() const { return folder_; }
  bool is_unigram() const { return unigram_; }  // else BPE
  bool has(const char* file) const;
  // tokenizer.json, read when it is first asked for; refused when it is missing.
  const Json& fast() const;

  // The text of "eos_token" and the like.
  std::string special_token(const char* key, const char* fallback) const;
  int64_t number(const char* key, int64_t fallback) const;
  // Every added token that the files list, as they say it. Those that stand in a list without an id get -1.
  std::vector<AddedToken> added_tokens(std::initializer_list<const char*> special_keys) const;

 private:
  const Json* find(const char* key) const;  // null where no file has it
  bool holds_unigram() const;

  Path folder_;
  std::shared_ptr<const Json> config_, special_;
  mutable std::shared_ptr<const Json> fast_;
  bool unigram_ = false;
};

// Members of JSON objects from strangers, checked.
const Json& member(const Json& object, const char* key, const std::string& where);
std::string as_text(const Json& value, const std::string& where);
int32_t as_id(const Json& value, const std::string& where);

}  // namespace baton
