#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/config/generate_config.h"
#include "engine/io/file.h"
#include "engine/io/json.h"
#include "engine/tensor/tensor.h"

namespace baton {

// A file that a picture was made from, as PNGs name it: in which folder it stood is nobody's business.
struct SourceFile {
  std::string name, hash;
};
SourceFile source_file(const Path& path);

// What a PNG of ours says about itself.
struct PictureInfo {
  PictureConfig config;  // every setting that was used, explicit: with model and files enough to draw it again
  std::string model_name, model_hash;
  std::vector<int> steps_per_expert;
  std::optional<SourceFile> init_image, from_latents;
};

// Picture [3, H, W] in [0, 1] as a PNG file with two text chunks: "parameters", the line that AUTOMATIC1111 and its
// readers know, and "baton", JSON.
std::string encode_picture(const Tensor& picture, const PictureInfo& info);

// All that encode_picture stored in "baton"; InputError if the file is no picture of Baton's.
Json picture_record(const Path& path);
// The settings that encode_picture stored.
PictureConfig stored_settings(const Path& path);
// The files that the picture config.like was made from, beside its settings. A start picture that stands beside it
// under its old name with its old content is taken; for anything else that `config` does not name, InputError says what
// is missing.
void find_sources(GenerateConfig& config);

}  // namespace baton
