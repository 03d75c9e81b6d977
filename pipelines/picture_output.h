#pragma once

#include <string_view>

#include "engine/config/generate_config.h"
#include "engine/io/file.h"
#include "engine/tensor/tensor.h"

// Where the pictures of a run go. The file that --out names is replaced; in a folder, and without --out, each picture
// takes a name that is free, as do the latents.
namespace baton {

// InputError, before any work, for what could not be written at the end: another format, a missing folder, no
// permission, several pictures for one file, one name for pictures and latents.
void check_output(const GenerateConfig& config);

// Writes picture number `index`, a whole PNG file; returns its name.
Path save_picture(const GenerateConfig& config, int64_t index, std::string_view png);
// Writes config.latents_out, or the first free name after it (NAME-2.safetensors); returns it.
Path save_latents(const GenerateConfig& config, const Tensor& latents);

}  // namespace baton
