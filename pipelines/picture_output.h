#pragma once

#include <string_view>

#include "engine/config/generate_config.h"
#include "engine/io/file.h"

// Where the pictures of a run go. The file that --out names is replaced; in a folder, and without --out, each picture
// takes a name that is free.
namespace baton {

// InputError, before any work, for what could not be written at the end: another format, a missing folder, no
// permission, several pictures for one file.
void check_output(const GenerateConfig& config);

// Writes picture number `index`, a whole PNG file; returns its name.
Path save_picture(const GenerateConfig& config, int64_t index, std::string_view png);

}  // namespace baton
