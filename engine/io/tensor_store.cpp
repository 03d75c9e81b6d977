#include "engine/io/tensor_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/io/json.h"
#include "engine/io/nearest.h"

namespace baton {

namespace fs = std::filesystem;

TensorStore::TensorStore(const Path& path) : path_(path) {
  std::error_code none;  // what cannot be looked at fails when it is opened, with a message
  if (fs::is_directory(path, none))
    open_folder();
  else if (path.extension() == ".json")
    open_index(path);
  else
    add(path);
}

namespace {

// The files in a model's folder that hold its weights, or name the shards of them: STEM[.VARIANT].safetensors and
// STEM.safetensors.index[.VARIANT].json. By their variant, "" first: where that is there, the others are not asked for.
std::map<std::string, std::vector<Path>> weight_files(const Path& folder) {
  static const std::regex pattern(R"((?:diffusion_pytorch_model|model)(?:\.([\w-]+))?\.safetensors)"
                                  R"((?:\.index(?:\.([\w-]+))?\.json)?)");
  static const std::regex shard(R"(.*-\d+-of-\d+\..*)");
  std::map<std::string, std::vector<Path>> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    std::smatch part;
    if (!std::regex_match(name, shard) && std::regex_match(name, part, pattern))
      files[part.str(1) + part.str(2)].push_back(entry.path());
  }
  for (auto& [variant, found] : files) std::ranges::sort(found);
  return files;
}

}  // namespace

void TensorStore::open_folder() {
  const auto files = weight_files(path_);
  if (files.empty()) {
    const bool pickled = fs::exists(path_ / "diffusion_pytorch_model.bin") || fs::exists(path_ / "pytorch_model.bin");
    fail(
        "{}: no weights: neither diffusion_pytorch_model.safetensors nor model.safetensors, nor an index of shards of "
        "them{}",
        path_.string(),
        pickled ? "; the .bin file is a pickle, which is never read: save the model with safe_serialization=True" : "");
  }
  const auto& [variant, found] = *files.begin();
  std::vector<std::string> variants;
  for (const auto& entry : files) variants.push_back(entry.first);
  check(variant.empty() || files.size() == 1, "{}: weights in several variants ({}); keep one of them", path_.string(),
        fmt::join(variants, ", "));
  const auto is_index = [](const Path& path) { return path.extension() == ".json"; };
  const auto of_transformers = [](const Path& path) { return path.filename().string().starts_with("model"); };
  check(of_transformers(found.front()) == of_transformers(found.back()),
        "{}: both {} and {} are there; remove the one that is out of date", path_.string(),
        found.front().filename().string(), found.back().filename().string());
  // Where one file and an index of shards are there, diffusers takes the index and transformers the file.
  const auto chosen =
      std::ranges::find_if(found, [&](const Path& path) { return is_index(path) != of_transformers(path); });
  const Path& path = chosen == found.end() ? found[0] : *chosen;
  if (found.size() > 1 || !variant.empty())
    warn_once(fmt::format("{}: {} is read{}", path_.string(), path.filename().string(),
                          variant.empty() ? "; the other weights there are not" : ", there is no other"));
  if (is_index(path))
    open_index(path);
  else
    add(path);
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
