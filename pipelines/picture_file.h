#pragma once

#include <string>

#include "engine/config/generate_config.h"
#include "engine/io/file.h"
#include "engine/io/json.h"
#include "engine/tensor/tensor.h"

namespace baton {

// What a PNG of ours says about itself.
struct PictureInfo {
  GenerateConfig config;  // every setting that was used, explicit: enough to draw the picture again
  std::string model_name, model_hash;
  std::vector<int> steps_per_expert;
};

// Writes picture [3, H, W] in [0, 1] with two text chunks: "parameters", the line that AUTOMATIC1111 and its readers
// know, and "baton", JSON.
void write_picture(const Path& path, const Tensor& picture, const PictureInfo& info);

// All that write_picture stored in "baton"; InputError if the file is no picture of Baton's.
Json picture_record(const Path& path);
// The settings that write_picture stored, as the YAML (JSON) of a GenerateConfig; InputError if the file is no picture
// of Baton's.
std::string stored_settings(const Path& path);

}  // namespace baton
