#pragma once

#include "engine/io/file.h"

namespace baton {

// Writes a file whole or not at all, and never replaces one: takes the first free name of picture.png, picture-2.png,
// picture-3.png … and returns it. Several programs may do so at once.
Path write_new_file(const Path& path, std::string_view bytes);

}  // namespace baton
