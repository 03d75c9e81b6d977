#include "engine/io/partial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace baton::partial {

namespace fs = std::filesystem;

void fail_system(const Path& path, std::string_view doing, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  fail_run("{}: {} failed: {}{}", path.string(), doing, std::strerror(error),
           full ? "; free some space and run again" : "");
}

void fail_open(const Path& path, std::string_view doing, int error) {
  const bool named_wrongly = error == ENOENT || error == EACCES || error == ENOTDIR || error == EISDIR ||
                             error == EPERM || error == ENAMETOOLONG || error == ELOOP || error == EROFS;
  check(!named_wrongly, "{}: {} failed: {}; check the path and its permissions", path.string(), doing,
        std::strerror(error));
  fail_system(path, doing, error);
}

Descriptor::~Descriptor() {
  if (value >= 0) ::close(value);
}
int Descriptor::release() { return std::exchange(value, -1); }

Path parent_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

Path resolve(const Path& target) {
  std::error_code none;
  const Path plain = target.has_filename() ? target : target.parent_path();
  return fs::is_symlink(plain, none) ? fs::weakly_canonical(plain) : plain;
}

Path partial_name(const Path& target) {
  return parent_of(target) / fmt::format(".{}.partial", target.filename().string());
}

int open_locked(const Path& target, const Path& partial, int flags, bool folder) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (folder && ::mkdir(partial.c_str(), 0777) != 0 && errno != EEXIST)
      fail_open(target, "creating the folder", errno);
    Descriptor opened{::open(partial.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0666)};
    if (opened.value < 0 && errno == ENOENT && folder) continue;  // its writer has just renamed it
    if (opened.value < 0) fail_open(target, "creating the file", errno);
    if (::flock(opened.value, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail_system(target, "locking the partial file", errno);
      fail_run("{}: another process is writing it (it holds {})", target.string(), partial.string());
    }
    // Between our open and our lock another writer may have finished: the lock counts only if the name still leads to
    // what is locked.
    struct stat locked, named;
    if (::fstat(opened.value, &locked) == 0 && ::lstat(partial.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
        locked.st_dev == named.st_dev)
      return opened.release();
  }
  fail_run("{}: {} keeps changing under another process", target.string(), partial.string());
}

void flush_folder(const Path& folder) {
  Descriptor d{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (d.value < 0 || ::fsync(d.value) != 0) fail_system(folder, "flushing the folder", errno);
}

}  // namespace baton::partial
