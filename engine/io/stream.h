#pragma once

#include "engine/io/file.h"

namespace baton {

// All that a file, pipe or terminal gives; "-" is standard input. InputError if it is more than `limit` bytes.
std::string read_stream(const Path& path, int64_t limit);

}  // namespace baton
