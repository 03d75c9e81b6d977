#include "engine/data/tokenizer_files.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace baton {
namespace {

constexpr int64_t file_limit = 64 << 20;  // UMT5's tokenizer.json, the largest we know, has 17 MB

std::shared_ptr<const Json> read_object(const Path& path) {
  if (!std::filesystem::exists(path)) return std::make_shared<const Json>(Json::object());
  auto value = std::make_shared<const Json>(read_json(path, file_limit));
  check(value->is_object(), "{}: expected an object {{…}}", path.string());
  return value;
}

// An added token is written as its text, or as {"content": text, "normalized": false, …}.
AddedToken parse_added(const Json& value, const std::string& where) {
  if (value.is_string()) return {value.get<std::string>(), -1};
  const auto flag = [&](const char* key) {
    const auto found = value.find(key);
    return found != value.end() && found->is_boolean() && found->get<bool>();
  };
  AddedToken token{as_text(member(value, "content", where), where), -1, flag("normalized"), flag("single_word")};
  if (const auto id = value.find("id"); id != value.end()) token.id = as_id(*id, where);
  return token;
}

}  // namespace

const Json& member(const Json& object, const char* key, const std::string& where) {
  check(object.is_object() && object.contains(key), "{}: '{}' is missing", where, key);
  return object[key];
}

std::string as_text(const Json& value, const std::string& where) {
  check(value.is_string(), "{}: a text was expected, found {}", where, value.type_name());
  return value.get<std::string>();
}

int32_t as_id(const Json& value, const std::string& where) {
  constexpr uint64_t limit = 10'000'000;
  check(value.is_number_unsigned() && value.get<uint64_t>() < limit, "{}: a token id below {} was expected", where,
        limit);
  return value.get<int32_t>();
}

TokenizerFiles::TokenizerFiles(const Path& folder)
    : folder_(folder),
      config_(read_object(folder / "tokenizer_config.json")),
      special_(read_object(folder / "special_tokens_map.json")) {
  check(std::filesystem::is_directory(folder), "{}: no such folder; a tokenizer is a folder of a pipeline",
        folder.string());
  std::string name;
  if (const Json* given = find("tokenizer_class")) name = as_text(*given, (folder_ / "tokenizer_config.json").string());
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const bool any_kind = name.empty() || name == "TokenizersBackend" || name == "PreTrainedTokenizer";
  check(any_kind || name == "T5Tokenizer" || name == "CLIPTokenizer",
        "{}: the tokenizer class '{}' is not supported; T5Tokenizer and CLIPTokenizer are", folder.string(), name);
  unigram_ = any_kind ? holds_unigram() : name == "T5Tokenizer";
}

// Where no class is named: what the files hold.
bool TokenizerFiles::holds_unigram() const {
  if (has("spiece.model")) return true;
  if (has("vocab.json") && has("merges.txt")) return false;
  check(has("tokenizer.json"),
        "{}: no tokenizer: neither spiece.model, nor vocab.json and merges.txt, nor tokenizer.json", folder_.string());
  const std::string where = (folder_ / "tokenizer.json").string();
  const Json& model = member(fast(), "model", where);
  const std::string type = as_text(member(model, "type", where), where);
  const bool clip = type == "BPE" && model.value("end_of_word_suffix", Json()) == "</w>";
  check(type == "Unigram" || clip,
        "{}: a tokenizer of type {}; those of T5 (Unigram) and CLIP (BPE with </w>) can be read", where, type);
  return type == "Unigram";
}

bool TokenizerFiles::has(const char* file) const { return std::filesystem::exists(folder_ / file); }

const Json& TokenizerFiles::fast() const {
  if (!fast_) {
    check(has("tokenizer.json"), "{}: {} is missing, and tokenizer.json too", folder_.string(),
          unigram_ ? "spiece.model" : "vocab.json or merges.txt");
    fast_ = read_object(folder_ / "tokenizer.json");
  }
  return *fast_;
}

const Json* TokenizerFiles::find(const char* key) const {
  for (const auto& file : {config_, special_})
    if (const auto found = file->find(key); found != file->end() && !found->is_null()) return &*found;
  return nullptr;
}

std::string TokenizerFiles::special_token(const char* key, const char* fallback) const {
  const Json* value = find(key);
  return value ? parse_added(*value, fmt::format("{}: {}", folder_.string(), key)).text : fallback;
}

int64_t TokenizerFiles::number(const char* key, int64_t fallback) const {
  const Json* value = find(key);
  return value ? as_id(*value, fmt::format("{}: {}", folder_.string(), key)) : fallback;
}

std::vector<AddedToken> TokenizerFiles::added_tokens(std::initializer_list<const char*> special_keys) const {
  std::vector<AddedToken> tokens;
  const std::string where = (folder_ / "tokenizer_config.json").string();
  const Json* decoder = find("added_tokens_decoder");
  if (has("tokenizer.json") && (fast_ || !decoder))
    if (const auto list = fast().find("added_tokens"); list != fast().end())
      for (const Json& entry : *list) tokens.push_back(parse_added(entry, (folder_ / "tokenizer.json").string()));
  if (!decoder) {  // before transformers 4.34: {"<sks>": 32100}
    const Path path = folder_ / "added_tokens.json";
    const auto listed = read_object(path);
    for (const auto& [text, id] : listed->items()) tokens.push_back({text, as_id(id, path.string())});
  }
  if (decoder && decoder->is_object())
    for (const auto& [id, entry] : decoder->items()) {
      check(!id.empty() && id.size() < 8 && id.find_first_not_of("0123456789") == id.npos, "{}: '{}' is no token id",
            where, id);
      tokens.push_back(parse_added(entry, where));
      tokens.back().id = std::stoi(id);
    }
  for (const char* key : special_keys)
    if (const Json* value = find(key)) tokens.push_back(parse_added(*value, where));
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"})
    if (const Json* list = find(key); list && list->is_array())
      for (const Json& entry : *list) tokens.push_back(parse_added(entry, where));
  return tokens;
}

}  // namespace baton
