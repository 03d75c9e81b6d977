#include "engine/io/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <type_traits>

#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/utf8.h"
#include "engine/io/nearest.h"

namespace baton {

Json read_json(const Path& path, int64_t limit) { return parse_json(read_file(path, limit), path.string()); }

std::string nulls_for_infinities(std::string_view text) {
  std::string plain;
  bool quoted = false;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    size_t length = quoted && rest[0] == '\\' ? std::min<size_t>(2, rest.size()) : 1;
    std::string_view put = rest.substr(0, length);
    if (rest[0] == '"') quoted = !quoted;
    for (const std::string_view word : {"NaN", "Infinity", "-Infinity"})
      if (!quoted && rest.starts_with(word)) length = word.size(), put = "null";
    plain += put;
    at += length;
  }
  return plain;
}

void write_json(const Path& path, const Json& value) try {
  write_file(path, value.dump(2) + "\n");
} catch (const Json::exception&) {
  fail("{}: cannot be written as JSON: a text in it is not UTF-8", path.string());
}

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

namespace {

// A JSON value as text for a message, cut where it becomes long.
std::string shown(const Json& value) {
  return value.is_structured() ? std::string(value.type_name()) : utf8_excerpt(json_text(value));
}

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

template <typename T>
T convert(const Json& value, const std::string& where) {
  if constexpr (IsVector<T>::value) {
    check(value.is_array(), "{}: expected a list, found {}", where, shown(value));
    T list;
    for (size_t i = 0; i < value.size(); ++i)
      list.push_back(convert<typename T::value_type>(value[i], fmt::format("{}[{}]", where, i)));
    return list;
  } else if constexpr (std::is_same_v<T, bool>) {
    check(value.is_boolean(), "{}: expected true or false, found {}", where, shown(value));
    return value.get<bool>();
  } else if constexpr (std::is_integral_v<T>) {
    check(value.is_number_integer(), "{}: expected a whole number, found {}", where, shown(value));
    const bool above = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<T>::max()};
    const bool below = !value.is_number_unsigned() && value.get<int64_t>() < std::numeric_limits<T>::min();
    check(!above && !below, "{}: {} is out of range", where, shown(value));
    return value.get<T>();
  } else if constexpr (std::is_floating_point_v<T>) {
    check(value.is_number(), "{}: expected a number, found {}", where, shown(value));
    const T number = value.get<T>();
    check(std::isfinite(number), "{}: {} is out of range", where, shown(value));
    return number;
  } else {
    check(value.is_string(), "{}: expected a text, found {}", where, shown(value));
    return value.get<std::string>();
  }
}

}  // namespace

struct JsonReader::Record {
  std::shared_ptr<const Json> document;  // keeps `object` alive
  const Json& object;
  std::string where;   // file or other source
  std::string prefix;  // "scheduler." inside a nested object
  std::set<std::string, std::less<>> asked;
};

JsonReader::JsonReader(std::shared_ptr<const Json> document, const Json& object, std::string where,
                       std::string prefix) {
  check(object.is_object(), "{}: expected an object {{…}}{}{}", where, prefix.empty() ? "" : " as ",
        prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1));
  record_ = std::make_shared<Record>(Record{std::move(document), object, std::move(where), std::move(prefix), {}});
}

JsonReader JsonReader::file(const Path& path, int64_t limit) { return text(read_file(path, limit), path.string()); }

JsonReader JsonReader::text(std::string_view text, std::string_view where) {
  return value(parse_json(text, where), where);
}

JsonReader JsonReader::value(Json object_given, std::string_view where) {
  auto document = std::make_shared<const Json>(std::move(object_given));
  const Json& object = *document;
  return JsonReader(std::move(document), object, std::string(where), "");
}

std::string JsonReader::where(std::string_view key) const {
  return fmt::format("{}: {}{}", record_->where, record_->prefix, utf8_excerpt(key));
}

bool JsonReader::has(std::string_view key) {
  record_->asked.emplace(key);
  const auto found = record_->object.find(key);
  return found != record_->object.end() && !found->is_null();
}

const Json& JsonReader::need(std::string_view key) {
  check(has(key), "{}: missing, this key is required", where(key));
  return *record_->object.find(key);
}

template <typename T>
T JsonReader::required(std::string_view key) {
  return convert<T>(need(key), where(key));
}
template bool JsonReader::required(std::string_view);
template int JsonReader::required(std::string_view);
template int64_t JsonReader::required(std::string_view);
template float JsonReader::required(std::string_view);
template double JsonReader::required(std::string_view);
template std::string JsonReader::required(std::string_view);
template std::vector<bool> JsonReader::required(std::string_view);
template std::vector<int> JsonReader::required(std::string_view);
template std::vector<int64_t> JsonReader::required(std::string_view);
template std::vector<float> JsonReader::required(std::string_view);
template std::vector<double> JsonReader::required(std::string_view);
template std::vector<std::string> JsonReader::required(std::string_view);

int64_t JsonReader::integer(std::string_view key, int64_t least, int64_t most) {
  const auto value = required<int64_t>(key);
  check(value >= least && value <= most, "{}: {} is out of range, expected {} to {}", where(key), value, least, most);
  return value;
}

JsonReader JsonReader::object(std::string_view key) {
  return JsonReader(record_->document, need(key), record_->where,
                    fmt::format("{}{}.", record_->prefix, utf8_excerpt(key)));
}

std::vector<JsonReader> JsonReader::objects(std::string_view key) {
  const Json& list = need(key);
  check(list.is_array(), "{}: expected a list, found {}", where(key), shown(list));
  std::vector<JsonReader> readers;
  for (size_t i = 0; i < list.size(); ++i)
    readers.push_back(JsonReader(record_->document, list[i], record_->where,
                                 fmt::format("{}{}[{}].", record_->prefix, utf8_excerpt(key), i)));
  return readers;
}

const Json& JsonReader::raw(std::string_view key) { return need(key); }

void JsonReader::ignore(std::string_view keys) {
  std::istringstream words{std::string(keys)};
  for (std::string key; words >> key;) record_->asked.insert(key);
}

void JsonReader::expect(std::string_view key, std::initializer_list<Json> values) {
  if (!has(key)) return;
  const Json& found = raw(key);
  std::vector<std::string> known;
  for (const Json& value : values) known.push_back(shown(value));
  check(std::ranges::find(values, found) != values.end(), "{}: {} is not supported{}", where(key), shown(found),
        known.empty() ? "" : fmt::format("; expected {}", fmt::join(known, " or ")));
}

std::vector<std::string> JsonReader::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, value] : record_->object.items()) names.push_back(key);
  return names;
}

void JsonReader::finish() const {
  const std::vector<std::string> known(record_->asked.begin(), record_->asked.end());
  for (const std::string& key : keys())
    check(record_->asked.contains(key), "{}: unknown key{}", where(key), did_you_mean(key, known));
}

void JsonReader::warn_of_unread() const {
  const auto says_nothing = [](const Json& value) {
    return value.is_null() || (value.is_array() && std::ranges::all_of(value, &Json::is_null));
  };
  constexpr size_t most = 8;
  const std::vector<std::string> known(record_->asked.begin(), record_->asked.end());
  std::vector<std::string> first;
  size_t count = 0;
  for (const auto& [key, value] : record_->object.items()) {
    if (record_->asked.contains(key) || says_nothing(value)) continue;
    if (++count <= most)
      first.push_back(
          fmt::format("{}{} = {}{}", record_->prefix, utf8_excerpt(key), shown(value), did_you_mean(key, known)));
  }
  if (count == 0) return;
  warn_once(fmt::format("{}: {} unknown key{} not used: {}{}", record_->where, count, count == 1 ? " is" : "s are",
                        fmt::join(first, "; "), count > most ? fmt::format("; and {} more", count - most) : ""));
}

}  // namespace baton
