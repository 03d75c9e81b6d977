#include "engine/io/safetensors_layout.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"

namespace baton {
namespace {

const char* format_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::bf16:
      return "BF16";
    case DType::f16:
      return "F16";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::u8:
      return "U8";
    case DType::f64:
      return "F64";
  }
  return "";
}

}  // namespace

SafetensorsLayout::SafetensorsLayout(std::vector<TensorEntry> entries,
                                     const std::map<std::string, std::string>& metadata)
    : entries_(std::move(entries)) {
  // Widest dtype first, so that every tensor is aligned to its own size without padding; then by name.
  std::ranges::sort(entries_, [](const TensorEntry& a, const TensorEntry& b) {
    return size_of(a.dtype) != size_of(b.dtype) ? size_of(a.dtype) > size_of(b.dtype) : a.name < b.name;
  });
  header_ = nlohmann::ordered_json({{"__metadata__", metadata}}).dump();
  header_.pop_back();  // the closing brace: tensors follow one by one, as ordered_json looks keys up by a linear search
  int64_t begin = 0;
  for (TensorEntry& entry : entries_) {
    const int64_t end = begin + numel(entry.shape) * size_of(entry.dtype);
    const nlohmann::ordered_json json = {
        {"dtype", format_name(entry.dtype)}, {"shape", entry.shape}, {"data_offsets", {begin, end}}};
    header_ += fmt::format(",{}:{}", Json(entry.name).dump(), json.dump());
    entry.offset = begin;
    begin = end;
  }
  header_ += "}";
  header_.resize((header_.size() + 7) / 8 * 8, ' ');
  const uint64_t length = header_.size();
  header_.insert(0, reinterpret_cast<const char*>(&length), sizeof length);
  for (TensorEntry& entry : entries_) entry.offset += static_cast<int64_t>(header_.size());
  bytes_ = begin + static_cast<int64_t>(header_.size());
}

const TensorEntry& SafetensorsLayout::entry(std::string_view name) const {
  const auto it = std::ranges::find_if(entries_, [&](const TensorEntry& e) { return e.name == name; });
  check(it != entries_.end(), "safetensors: there is no tensor {}", name);
  return *it;
}

}  // namespace baton
