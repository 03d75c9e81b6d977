#pragma once

#include "engine/io/file.h"

// Whether something can be written at the end is to be said before the work. InputError where it cannot: no such
// folder, no permission, something else of that name, a name that is too long, links that lead in a circle.
namespace baton {

// For write_file().
void check_writable(const Path& path);
// For files in a folder that make_folder() will make.
void check_writable_folder(const Path& folder);

// Makes the folder and those above it where they are missing, and returns it.
Path make_folder(const Path& folder);

}  // namespace baton
