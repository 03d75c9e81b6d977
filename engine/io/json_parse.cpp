#include <nlohmann/json.hpp>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/json.h"

namespace baton {
namespace {

// Builds the tree from the library's events: its own builder knows no limits, and with a callback it takes n^2 steps
// for n objects in a list. The member functions are those that nlohmann's SAX interface asks for.
class JsonBuilder {
 public:
  JsonBuilder(std::string_view where, size_t bytes) : where_(where), memory_left_(bytes + (size_t{56} << 20)) {}

  Json take() { return std::move(root_); }

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(int64_t value) { return put(value); }
  bool number_unsigned(uint64_t value) { return put(value); }
  bool number_float(double value, const std::string&) { return put(value); }
  bool string(std::string& value) {
    spend(48 + value.size());
    return put(std::move(value));
  }
  bool binary(std::vector<uint8_t>&) { return false; }  // never in JSON text
  bool start_object(size_t) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_array() { return close(); }
  bool key(std::string& key) {
    spend(96 + key.size());
    const auto [place, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(std::move(key), nullptr);
    check(is_new, "{}: the key '{}' is there twice", where_, utf8_excerpt(place->first));
    value_ = &place->second;
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception& error) {
    fail("{}: not valid JSON: {}", where_, utf8_excerpt(json_reason(error.what()), 200));
  }

 private:
  // A tree takes many times its text's bytes ("[[],[],…"); the numbers are those of GNU's containers and allocator.
  void spend(size_t bytes) {
    check(bytes <= memory_left_, "{}: too many values in this JSON for its size", where_);
    memory_left_ -= bytes;
  }

  Json& place(Json value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *value_ = std::move(value);
    spend(32);
    return open_.back()->get_ref<Json::array_t&>().emplace_back(std::move(value));
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    constexpr size_t max_depth = 64;
    check(open_.size() < max_depth, "{}: JSON nested deeper than {} levels", where_, max_depth);
    spend(64);
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string_view where_;
  size_t memory_left_;
  Json root_;
  std::vector<Json*> open_;  // objects and arrays that are not yet complete; they stay where they are until they are
  Json* value_ = nullptr;    // of the last key
};

}  // namespace

std::string_view json_reason(std::string_view message) { return message.substr(message.find("] ") + 2); }

Json parse_json(std::string_view text, std::string_view where) {
  check(text.find('\0') == text.npos, "{}: a NUL byte in JSON", where);  // the library would take it for the end
  JsonBuilder builder(where, text.size());
  Json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace baton
