#pragma once

#include <initializer_list>
#include <string_view>

#include "engine/io/file.h"

namespace baton {

// Writes a file of these pieces whole or not at all, and never replaces one: takes the first free name of picture.png,
// picture-2.png, picture-3.png … and returns it. Several programs may do so at once.
Path write_new_file(const Path& path, std::initializer_list<std::string_view> pieces);

}  // namespace baton
