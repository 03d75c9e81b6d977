#include "engine/io/tensor_store.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/nearest.h"

namespace baton {

namespace fs = std::filesystem;

TensorStore::TensorStore(const Path& path) : path_(path) {
  std::error_code none;  // what cannot be looked at fails when it is opened, with a message
  if (fs::is_directory(path, none))
    open_folder();
  else if (path.string().ends_with(".index.json"))
    open_index(path);
  else
    add(path);
}

void TensorStore::open_folder() {
  std::vector<Path> found;
  for (const char* stem : {"diffusion_pytorch_model", "model"})
    for (const char* end : {".safetensors", ".safetensors.index.json"})
      if (const Path candidate = path_ / fmt::format("{}{}", stem, end); fs::exists(candidate))
        found.push_back(candidate);
  if (found.empty()) {
    const bool pickled = fs::exists(path_ / "diffusion_pytorch_model.bin") || fs::exists(path_ / "pytorch_model.bin");
    fail(
        "{}: no weights: neither diffusion_pytorch_model.safetensors nor model.safetensors, nor an index of shards of "
        "them{}",
        path_.string(),
        pickled ? "; the .bin file is a pickle, which is never read: save the model with safe_serialization=True" : "");
  }
  check(found.size() == 1, "{}: both {} and {} are there; remove the one that is out of date", path_.string(),
        found.front().filename().string(), found.back().filename().string());
  if (found[0].extension() == ".json")
    open_index(found[0]);
  else
    add(found[0]);
}

void TensorStore::open_index(const Path& index) {
  JsonReader reader = JsonReader::file(index, 100 << 20);
  JsonReader map = reader.object("weight_map");
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  for (const std::string& name : map.keys()) {
    const std::string shard = map.required<std::string>(name);
    // A file beside the index and nothing else: no folder, no way up, no hidden file.
    check(shard.find('\0') == shard.npos, "{}: a NUL byte in a file name", map.where(name));
    check(shard.find_first_of("/\\") == shard.npos && !shard.starts_with('.') && shard.ends_with(".safetensors"),
          "{}: '{}' is not the plain name of a .safetensors file", map.where(name), shard);
    shard_of.emplace(name, shard);
    shards.insert(shard);
  }
  check(!shards.empty(), "{}: the weight_map is empty", index.string());
  for (const std::string& shard : shards) {
    check(fs::exists(index.parent_path() / shard), "{}: the shard {} is missing beside it", index.string(), shard);
    add(index.parent_path() / shard);
  }
  for (const auto& [name, shard] : shard_of)
    check(contains(name) && file_of(name).path().filename() == shard, "{}: '{}' is not in {}", index.string(), name,
          shard);
}

void TensorStore::add(const Path& file) {
  files_.emplace_back(file);
  for (const auto& [name, entry] : files_.back().header().tensors)
    check(place_.emplace(name, files_.size() - 1).second, "{}: '{}' is in another shard too", file.string(), name);
}

std::vector<std::string> TensorStore::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : place_) names.push_back(name);
  return names;
}

const SafetensorsFile& TensorStore::file_of(std::string_view name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) fail("{}: has no tensor '{}'{}", path_.string(), name, did_you_mean(name, names()));
  return files_[found->second];
}

const SafetensorsHeader::Entry& TensorStore::entry(std::string_view name) const {
  return file_of(name).header().tensors.find(name)->second;
}

Tensor TensorStore::get(std::string_view name) {
  Tensor tensor = file_of(name).tensor(name);
  asked_.emplace(name);
  return tensor;
}

Tensor TensorStore::get(std::string_view name, const Shape& expected) {
  const SafetensorsFile& file = file_of(name);
  const Shape& found = entry(name).shape;
  check(found == expected,
        "{}: '{}' has shape {}, the model's config needs {}; weights and config.json do not belong together",
        file.path().string(), name, found, expected);
  return get(name);
}

std::vector<std::string> TensorStore::unused() const {
  std::vector<std::string> left;
  for (const auto& [name, place] : place_)
    if (!asked_.contains(name)) left.push_back(name);
  return left;
}

void TensorStore::release_pages() const {
  for (const SafetensorsFile& file : files_) file.release_pages();
}

}  // namespace baton
