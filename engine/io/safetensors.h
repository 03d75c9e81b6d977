#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/file.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors_header.h"
#include "engine/tensor/tensor.h"

namespace baton {

// A .safetensors file mapped into memory, its header checked. Tensors borrow the mapping, so nothing is read before it
// is used and nothing is copied; they keep the mapping alive. A file that is cut short while it is mapped ends the
// process, with a message (engine/io/mapped_file.h): files are replaced by renaming, never written in place.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const Path& path);

  const Path& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  std::vector<std::string> names() const;  // sorted
  bool contains(std::string_view name) const { return header_.tensors.contains(name); }

  // F32, BF16, F16, F64, I64, I32 and U8 of up to kernels::max_rank dimensions; anything else is refused here, by name,
  // and harms nobody before.
  Tensor tensor(std::string_view name) const;

  // Copies rows of a tensor, from `first` on and as many as `rows` has, out of the file. Throws LostData where the file
  // was cut short: for what is read again and again over days.
  void read_rows(std::string_view name, int64_t first, const Tensor& rows) const;

  // Gives the pages back that reading has brought in (weights that were packed are not read again). They come back when
  // touched.
  void release_pages() const;

 private:
  Path path_;
  std::shared_ptr<const MappedFile> file_;
  SafetensorsHeader header_;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Writes contiguous tensors under their names; where that needs more than `max_shard_bytes`, into files of at most that
// size (a larger tensor gets one of its own) named STEM-00001-of-00003.safetensors, with STEM.safetensors.index.json
// written last. Each file appears only when complete, and the same tensors always give the same bytes. Adds "format":
// "pt" to the metadata, which transformers wants.
void write_safetensors(const Path& path, const NamedTensors& tensors, std::map<std::string, std::string> metadata = {},
                       int64_t max_shard_bytes = INT64_MAX);

}  // namespace baton
