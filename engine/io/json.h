#pragma once

#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file.h"

// JSON from strangers. To build or take apart a Json value include <nlohmann/json.hpp> as well; to read a config use
// JsonReader alone.
namespace baton {

using Json = nlohmann::json;

// Strict: one value, UTF-8, no NUL, no comments, no duplicate keys, nesting to 64 levels, and no more memory for the
// tree than the text has bytes and 56 MiB. InputError messages start with `where`.
Json parse_json(std::string_view text, std::string_view where);
// "parse error at line 1, …" of the library's "[json.exception.parse_error.101] parse error at line 1, …".
std::string_view json_reason(std::string_view message);
Json read_json(const Path& path, int64_t limit = 16 << 20);
// Python writes numbers that are not finite as NaN, Infinity and -Infinity, which is no JSON: the text with null there.
std::string nulls_for_infinities(std::string_view text);
// Indented by two, keys sorted, as diffusers writes its config files.
void write_json(const Path& path, const Json& value);
// For stdout: on one line, or indented. Bytes that are not UTF-8, as file names may have, become U+FFFD.
std::string json_text(const Json& value, int indent = -1);

// Reads a JSON object key by key into plain values and remembers which keys were asked for:
//   JsonReader config = JsonReader::file(folder / "config.json");
//   c.layers = config.required<int>("num_layers");
//   c.eps = config.optional("eps", 1e-6f);
//   config.ignore("_class_name _diffusers_version");
//   config.finish();                                        // any other key is an error that names the nearest known
//   one, or where the file is of another program:
//   config.warn_of_unread();                                // … is named in a warning
// T: bool, int, int64_t, float, double, std::string, and std::vector of these. A null counts as absent. Copies share
// the record.
class JsonReader {
 public:
  static JsonReader file(const Path& path, int64_t limit = 16 << 20);
  static JsonReader text(std::string_view text, std::string_view where);
  static JsonReader value(Json object, std::string_view where);

  bool has(std::string_view key);  // present and not null
  template <typename T>
  T required(std::string_view key);
  template <typename T>
  T optional(std::string_view key, T fallback) {
    return has(key) ? required<T>(key) : std::move(fallback);
  }
  int64_t integer(std::string_view key, int64_t least, int64_t most);  // required
  std::string optional(std::string_view key, const char* fallback) { return optional(key, std::string(fallback)); }

  JsonReader object(std::string_view key);                // call finish() on it too
  std::vector<JsonReader> objects(std::string_view key);  // a list of objects
  const Json& raw(std::string_view key);                  // anything else; lives as long as this reader or a copy

  void ignore(std::string_view keys);  // separated by blanks
  // A key that decides what is computed, of which only some values have code here: refused unless it is absent, null or
  // one of them.
  void expect(std::string_view key, std::initializer_list<Json> values);
  std::vector<std::string> keys() const;  // all that are there; asking does not count as reading them
  void finish() const;
  // Keys that nobody has asked for, unless they are null or lists of nulls, in one warning with their values.
  void warn_of_unread() const;

  // "transformer/config.json: num_layers": the start of a message about this key.
  std::string where(std::string_view key) const;

 private:
  struct Record;  // the object and the keys asked for so far
  JsonReader(std::shared_ptr<const Json> document, const Json& object, std::string where, std::string prefix);
  const Json& need(std::string_view key);

  std::shared_ptr<Record> record_;
};

}  // namespace baton
