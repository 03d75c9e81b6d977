#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"

namespace baton {
namespace {

using Metadata = std::map<std::string, std::string>;
using Shard = std::vector<const std::pair<std::string, Tensor>*>;

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

// Widest dtype first, so that every tensor is aligned to its own size without padding; then by name.
void sort_for_file(Shard& shard) {
  std::sort(shard.begin(), shard.end(), [](const auto* a, const auto* b) {
    const int64_t wide_a = size_of(a->second.dtype()), wide_b = size_of(b->second.dtype());
    return wide_a != wide_b ? wide_a > wide_b : a->first < b->first;
  });
}

// The header's JSON, padded with spaces so that the data begins at a multiple of 8.
std::string header_text(const Shard& shard, const Metadata& metadata) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  int64_t begin = 0;
  std::string text = nlohmann::ordered_json(header).dump();
  text.pop_back();  // the closing brace: tensors follow one by one, because ordered_json looks keys up by a linear
                    // search
  for (const auto* named : shard) {
    const Tensor& t = named->second;
    const nlohmann::ordered_json entry = {
        {"dtype", format_name(t.dtype())}, {"shape", t.shape()}, {"data_offsets", {begin, begin + t.bytes()}}};
    text += fmt::format(",{}:{}", Json(named->first).dump(), entry.dump());
    begin += t.bytes();
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void write_one(const Path& path, Shard shard, const Metadata& metadata) {
  sort_for_file(shard);
  const std::string header = header_text(shard, metadata);
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(header);
  for (const auto* named : shard) file.write(named->second.raw(), named->second.bytes());
  file.commit();
}

// Fills shards in the given order. What the header will need is bounded from above, so that no file exceeds the limit.
std::vector<Shard> split(const NamedTensors& tensors, const Metadata& metadata, int64_t max_bytes) {
  const int64_t fixed = 64 + static_cast<int64_t>(Json(metadata).dump().size());
  std::vector<Shard> shards(1);
  int64_t used = fixed;
  for (const auto& named : tensors) {
    const int64_t numbers = 20 * (named.second.rank() + 2), words = 64;
    const int64_t needed =
        named.second.bytes() + static_cast<int64_t>(Json(named.first).dump().size()) + numbers + words;
    if (!shards.back().empty() && used + needed > max_bytes) {
      shards.emplace_back();
      used = fixed;
    }
    shards.back().push_back(&named);
    used += needed;
  }
  return shards;
}

void check_tensors(const Path& path, const NamedTensors& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    check(names.insert(name).second && name != "__metadata__" && name.find('\0') == name.npos,
          "{}: the tensor name '{}' is there twice or not allowed", path.string(), name);
    check(tensor.defined() && tensor.is_contiguous(), "{}: the tensor '{}' is undefined or not contiguous",
          path.string(), name);
  }
}

}  // namespace

void write_safetensors(const Path& path, const NamedTensors& tensors, Metadata metadata, int64_t max_shard_bytes) try {
  check(path.extension() == ".safetensors", "{}: the name must end in .safetensors", path.string());
  check_tensors(path, tensors);
  metadata.emplace("format", "pt");
  const std::vector<Shard> shards = split(tensors, metadata, max_shard_bytes);
  if (shards.size() == 1) return write_one(path, shards[0], metadata);

  int64_t total = 0;
  Json weight_map = Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("{}-{:05}-of-{:05}.safetensors", path.stem().string(), i + 1, shards.size());
    write_one(path.parent_path() / name, shards[i], metadata);
    for (const auto* named : shards[i]) {
      weight_map[named->first] = name;
      total += named->second.bytes();
    }
  }
  write_json(Path(path).concat(".index.json"), {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}});
} catch (const Json::exception& e) {
  fail("{}: a tensor name or metadata is not UTF-8: {}", path.string(), e.what());
}

}  // namespace baton
