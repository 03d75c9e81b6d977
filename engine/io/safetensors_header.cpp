#include "engine/io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/core/countable.h"
#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/json.h"

namespace baton {
namespace {

constexpr uint64_t max_header_bytes = 100'000'000;
constexpr size_t max_dimensions = 64;
constexpr int64_t most_names = 200'000;  // each costs many times its text's bytes

struct DTypeBits {
  std::string_view name;
  int bits;
};
constexpr DTypeBits dtypes[] = {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                                {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
                                {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
                                {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
                                {"I64", 64},        {"U64", 64}};

// Receives the header's JSON piece by piece, so that a header of 100 MB needs no tree of JSON values, and stops at the
// first piece that does not belong. The member functions are those that nlohmann's SAX interface asks for.
class HeaderReader {
 public:
  HeaderReader(SafetensorsHeader& header, int64_t data_bytes, std::string_view where)
      : header_(header), data_bytes_(data_bytes), where_(where) {}

  bool start_object(size_t) {
    if (place_ == Place::outside) return go(Place::root);
    check(place_ == Place::root, "{}: an object where {} belongs", where(), wanted());
    if (name_ == "__metadata__") return go(Place::metadata);
    entry_ = {};
    offsets_.clear();
    fields_ = 0;
    return go(Place::tensor);
  }

  bool end_object() {
    if (place_ == Place::root) return go(Place::outside);
    if (place_ == Place::tensor) add_tensor();
    return go(Place::root);
  }

  bool key(std::string& key) {
    if (place_ == Place::tensor) {
      field_ = key == "dtype" ? dtype : key == "shape" ? shape : key == "data_offsets" ? offsets : 0;
      check(field_ != 0, "{}: unknown field '{}'", where(), utf8_excerpt(key));
      check(!(fields_ & field_), "{}: the field '{}' is there twice", where(), key);
      fields_ |= field_;
      return true;
    }
    check(key.find('\0') == key.npos, "{}: a name with a NUL byte", where_);
    check(++names_ <= most_names, "{}: more than {} tensors and entries of metadata", where_, most_names);
    bool is_new = true;
    if (place_ == Place::metadata)
      is_new = header_.metadata.emplace(key, "").second;
    else if (key == "__metadata__")
      is_new = !std::exchange(has_metadata_, true);
    else
      is_new = !header_.tensors.contains(key);
    check(is_new, "{}: '{}' is there twice", where_, utf8_excerpt(key));
    name_ = std::move(key);
    return true;
  }

  bool string(std::string& text) {
    if (place_ == Place::metadata) {
      header_.metadata[name_] = std::move(text);
      return true;
    }
    check(place_ == Place::tensor && field_ == dtype, "{}: a text where {} belongs", where(), wanted());
    entry_.dtype = std::move(text);
    return true;
  }

  bool start_array(size_t) {
    check(place_ == Place::tensor && field_ != dtype, "{}: a list where {} belongs", where(), wanted());
    return go(Place::list);
  }
  bool end_array() {
    if (field_ == offsets) {
      check(offsets_.size() == 2, "{}: data_offsets needs two numbers", where());
      entry_.begin = offsets_[0], entry_.end = offsets_[1];
    }
    return go(Place::tensor);
  }

  bool number_unsigned(uint64_t number) {
    check(place_ == Place::list, "{}: a number where {} belongs", where(), wanted());
    check(number <= std::numeric_limits<int64_t>::max(), "{}: {} is out of range", where(), number);
    Shape& list = field_ == shape ? entry_.shape : offsets_;
    check(list.size() < (field_ == shape ? max_dimensions : 2), "{}: {}", where(),
          field_ == shape ? "more than 64 dimensions" : "data_offsets has more than two numbers");
    list.push_back(static_cast<int64_t>(number));
    return true;
  }

  bool number_integer(int64_t number) { fail("{}: the negative number {}", where(), number); }
  bool number_float(double, const std::string& text) {
    fail("{}: {} where a whole number belongs", where(), text.substr(0, 40));
  }
  bool null() { fail("{}: null where {} belongs", where(), wanted()); }
  bool boolean(bool) { fail("{}: true or false where {} belongs", where(), wanted()); }
  bool binary(std::vector<uint8_t>&) { return false; }  // never in JSON text
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) {
    fail("{}: the header is not valid JSON: {}", where_, utf8_excerpt(json_reason(error.what()), 200));
  }

 private:
  enum class Place { outside, root, metadata, tensor, list };
  enum Field { dtype = 1, shape = 2, offsets = 4 };

  bool go(Place place) {
    place_ = place;
    return true;
  }

  std::string where() const {
    return name_.empty() ? std::string(where_) : fmt::format("{}: '{}'", where_, utf8_excerpt(name_));
  }
  std::string_view wanted() const {
    switch (place_) {
      case Place::outside:
        return "the header object";
      case Place::root:
        return "a tensor's description";
      case Place::metadata:
        return "a text";
      case Place::tensor:
        return field_ == dtype ? "a text" : "a list of whole numbers";
      case Place::list:
        return "a whole number";
    }
    return "";
  }

  void add_tensor() {
    check(fields_ == (dtype | shape | offsets), "{}: needs dtype, shape and data_offsets", where());
    const auto* known =
        std::find_if(std::begin(dtypes), std::end(dtypes), [&](const DTypeBits& d) { return d.name == entry_.dtype; });
    check(known != std::end(dtypes), "{}: unknown dtype '{}'", where(), entry_.dtype.substr(0, 40));
    int64_t bits = known->bits;
    for (int64_t size : entry_.shape)
      check(!__builtin_mul_overflow(bits, size, &bits), "{}: the shape {} is too large", where(), entry_.shape);
    check(is_countable(entry_.shape), "{}: the shape {} is too large", where(), entry_.shape);
    check(bits % 8 == 0, "{}: shape {} of {} does not fill whole bytes", where(), entry_.shape, entry_.dtype);
    check(entry_.begin <= entry_.end, "{}: data_offsets end before they begin", where());
    check(entry_.end - entry_.begin == bits / 8, "{}: shape {} of {} needs {} bytes, data_offsets give {}", where(),
          entry_.shape, entry_.dtype, bits / 8, entry_.end - entry_.begin);
    check(entry_.end <= data_bytes_, "{}: ends at byte {}, but the file has only {} bytes of data: it is truncated",
          where(), entry_.end, data_bytes_);
    used_ += entry_.end - entry_.begin;  // no overflow: it was at most data_bytes_ before
    check(used_ <= data_bytes_, "{}: tensors overlap", where());
    header_.tensors.emplace(std::move(name_), std::move(entry_));
    name_.clear();
  }

  SafetensorsHeader& header_;
  const int64_t data_bytes_;
  const std::string_view where_;
  Place place_ = Place::outside;
  bool has_metadata_ = false;
  int64_t names_ = 0;
  std::string name_;                // of the tensor or metadata entry
  int field_ = 0, fields_ = 0;      // the current one, and those seen
  SafetensorsHeader::Entry entry_;  // the tensor being read
  Shape offsets_;
  int64_t used_ = 0;  // bytes of the tensors so far
};

// Sorted by position, each tensor must begin where the one before it ended, and the last must end with the file.
void check_contiguous(const SafetensorsHeader& header, int64_t data_bytes, std::string_view where) {
  std::vector<const std::pair<const std::string, SafetensorsHeader::Entry>*> order;
  for (const auto& tensor : header.tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  int64_t end = 0;
  for (const auto* tensor : order) {
    check(tensor->second.begin == end, "{}: '{}' begins at byte {} of the data, {} was expected: {}", where,
          tensor->first, tensor->second.begin, end, tensor->second.begin > end ? "there is a hole" : "tensors overlap");
    end = tensor->second.end;
  }
  check(end == data_bytes, "{}: {} bytes after the last tensor", where, data_bytes - end);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view file, std::string_view where) {
  uint64_t length;
  check(file.size() >= sizeof length, "{}: {} bytes are too few for a safetensors file", where, file.size());
  std::memcpy(&length, file.data(), sizeof length);
  check(length <= max_header_bytes, "{}: a header of {} bytes (at most {}): not a safetensors file", where, length,
        max_header_bytes);
  check(length <= file.size() - sizeof length,
        "{}: the header says {} bytes, the file has {} after its length: it is truncated", where, length,
        file.size() - sizeof length);
  const std::string_view text = file.substr(sizeof length, length);
  check(text.starts_with('{'), "{}: the header does not start with '{{': not a safetensors file", where);
  check(text.find('\0') == text.npos, "{}: a NUL byte in the header",
        where);  // the JSON library would take it for the end

  SafetensorsHeader header;
  header.data = static_cast<int64_t>(sizeof length + length);
  const int64_t data_bytes = static_cast<int64_t>(file.size()) - header.data;
  HeaderReader reader(header, data_bytes, where);
  nlohmann::json::sax_parse(text, &reader);
  check_contiguous(header, data_bytes, where);
  return header;
}

}  // namespace baton
