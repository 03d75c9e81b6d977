#include "engine/io/writable.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "engine/core/error.h"
#include "engine/io/partial.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// `path`: for messages.
void check_folder(const Path& folder, const Path& path) {
  struct stat info;
  int error = 0;
  if (::stat(folder.c_str(), &info) != 0)
    error = errno;
  else if (!S_ISDIR(info.st_mode))
    error = ENOTDIR;
  else if (info.st_nlink == 0)
    error = ENOENT;  // the working folder, deleted
  else if (::access(folder.c_str(), W_OK | X_OK) != 0)
    error = errno;
  if (error != 0) partial::fail_open(path, "writing there", error);
}

}  // namespace

void check_writable(const Path& path) {
  const Path target = partial::resolve(path);
  std::error_code none;
  const fs::file_status status = fs::status(target, none);
  check(!exists(status) || is_regular_file(status), "{}: exists and is not a regular file", path.string());
  if (target.filename().native().size() > NAME_MAX) partial::fail_open(path, "writing there", ENAMETOOLONG);
  check_folder(partial::parent_of(target), path);
}

void check_writable_folder(const Path& folder) {
  Path there = partial::resolve(folder);
  std::error_code none;
  while (!exists(fs::symlink_status(there, none)) && there != partial::parent_of(there))
    there = partial::parent_of(there);
  check_folder(there, folder);
}

Path make_folder(const Path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) partial::fail_open(folder, "making the folder", error.value());
  return folder;
}

}  // namespace baton
