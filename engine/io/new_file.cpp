#include "engine/io/new_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>

#include "engine/io/partial.h"

namespace baton {
namespace {

using Pieces = std::initializer_list<std::string_view>;

Path numbered(const Path& path, int64_t number) {
  if (number == 1) return path;
  return path.parent_path() / fmt::format("{}-{}{}", path.stem().string(), number, path.extension().string());
}

// Gives the file a name that is free; false if it is not.
bool rename_to_free(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS) {  // a file system that cannot, such as NFS; a second name it can refuse
    if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0;
  }
  if (errno != EEXIST) partial::fail_system(to, "renaming", errno);
  return false;
}

bool write_if_free(const Path& target, Pieces pieces) {
  std::error_code none;
  if (exists(symlink_status(target, none))) return false;
  const Path partial = partial::partial_name(target);
  Output output(target, partial::create_file(target, partial));
  try {
    int64_t size = 0;
    for (const std::string_view piece : pieces) {
      output.write(piece.data(), std::ssize(piece), size);
      size += std::ssize(piece);
    }
    output.flush();
    partial::check_named(target, partial, output.descriptor());
    if (rename_to_free(partial, target)) {
      partial::flush_folder(partial::parent_of(target));
      return true;
    }
  } catch (...) {
    partial::remove_file(partial, output.descriptor());
    throw;
  }
  partial::remove_file(partial, output.descriptor());
  return false;
}

}  // namespace

Path write_new_file(const Path& path, Pieces pieces) {
  for (int64_t number = 1;; ++number) {
    const Path target = numbered(path, number);
    try {
      if (write_if_free(target, pieces)) return target;
    } catch (const partial::Busy&) {  // another program takes this name
    }
  }
}

}  // namespace baton
