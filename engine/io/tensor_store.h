#pragma once

#include <map>
#include <set>

#include "engine/io/safetensors.h"

namespace baton {

// The weights of one model: the tensors of one file, or of the shards that an index names.
class TensorStore {
 public:
  // `path`: a .safetensors file, or a model's folder as diffusers and transformers write it, with
  // diffusion_pytorch_model.safetensors or model.safetensors, or the same name + ".index.json", or where there is
  // nothing else a variant of these ("model.fp16.safetensors"). All headers are checked here, no weights are read.
  explicit TensorStore(const Path& path);

  const Path& path() const { return path_; }
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return place_.contains(name); }
  const std::map<std::string, std::string>& metadata() const { return files_.front().metadata(); }
  // What is there, for messages and `inspect`.
  const SafetensorsHeader::Entry& entry(std::string_view name) const;

  // The tensor, in the dtype of the file. Errors name file, tensor, and both shapes.
  Tensor get(std::string_view name);
  Tensor get(std::string_view name, const Shape& expected);

  // Names that nobody has asked for: a model that leaves any has not understood its file.
  std::vector<std::string> unused() const;
  void release_pages() const;

 private:
  void open_folder();
  void open_index(const Path& index);
  void add(const Path& file);
  const SafetensorsFile& file_of(std::string_view name) const;

  Path path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t, std::less<>> place_;  // name -> index in files_
  std::set<std::string, std::less<>> asked_;
};

}  // namespace baton
