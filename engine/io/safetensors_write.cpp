#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_layout.h"

namespace baton {
namespace {

using Metadata = std::map<std::string, std::string>;
using FileContents = std::vector<const std::pair<std::string, Tensor>*>;

void write_one(const Path& path, const FileContents& shard, const Metadata& metadata) {
  std::map<std::string_view, const Tensor*> tensors;
  std::vector<TensorEntry> entries;
  for (const auto* named : shard) {
    tensors[named->first] = &named->second;
    entries.push_back({named->first, named->second.dtype(), named->second.shape()});
  }
  const SafetensorsLayout layout(std::move(entries), metadata);
  AtomicFile file(path);
  file.write(layout.header());
  for (const TensorEntry& entry : layout.entries())
    file.write(tensors[entry.name]->raw(), tensors[entry.name]->bytes());
  file.commit();
}

// Fills shards in the given order. What the header will need is bounded from above, so that no file exceeds the limit.
std::vector<FileContents> split(const NamedTensors& tensors, const Metadata& metadata, int64_t max_bytes) {
  const int64_t fixed = 64 + static_cast<int64_t>(Json(metadata).dump().size());
  std::vector<FileContents> shards(1);
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
  const std::vector<FileContents> shards = split(tensors, metadata, max_shard_bytes);
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
} catch (const Json::exception&) {
  fail("{}: a tensor name or metadata is not UTF-8", path.string());
}

}  // namespace baton
