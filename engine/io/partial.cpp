#include "engine/io/partial.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

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
  constexpr int most_links = 40;  // as Linux follows
  Path path = target.has_filename() ? target : target.parent_path();
  std::error_code none;
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, none)); ++links) {
    check(links < most_links, "{}: the symbolic links lead in a circle", target.string());
    const Path next = fs::read_symlink(path, none);
    path = next.is_absolute() ? next : parent_of(path) / next;
  }
  return path;
}

Path partial_name(const Path& target) {
  constexpr size_t longest = 255;  // of a file's name, in bytes
  const std::string name = target.filename().string();
  check(name.size() <= longest, "{}: a name of more than {} bytes", target.string(), longest);
  std::string partial = fmt::format(".{}.partial", name);
  if (partial.size() > longest)
    partial = fmt::format(".{}-{:016x}.partial", utf8_prefix(name, 200), std::hash<std::string>()(name));
  return parent_of(target) / partial;
}

bool is_named(const Path& partial, int descriptor) {
  struct stat opened, named;
  return ::fstat(descriptor, &opened) == 0 && ::lstat(partial.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

void check_named(const Path& target, const Path& partial, int descriptor) {
  if (!is_named(partial, descriptor))
    fail_run("{}: another process has removed or replaced {} while it was written", target.string(), partial.string());
}

void remove_file(const Path& partial, int descriptor) {
  if (is_named(partial, descriptor)) ::unlink(partial.c_str());
}

namespace {

[[noreturn]] void fail_busy(const Path& target, const Path& partial) {
  throw Busy(fmt::format("{}: another process is writing it (it holds {})", target.string(), partial.string()));
}

// Locked by us, and still what the name leads to: between open and lock another writer may have finished.
bool lock(const Path& target, const Path& partial, const Descriptor& opened) {
  if (::flock(opened.value, LOCK_EX | LOCK_NB) != 0) {
    if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) return true;  // a file system without locks
    // EBADF: NFS wants a descriptor that may write, which nobody gets of another user's file.
    if (errno != EWOULDBLOCK && errno != EBADF) fail_system(target, "locking the partial file", errno);
    fail_busy(target, partial);
  }
  return is_named(partial, opened.value);
}

// For its lock, which does not ask for the right to write, except on NFS.
int open_left(const Path& partial) {
  constexpr int flags = O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
  const int left = ::open(partial.c_str(), O_RDWR | flags);
  return left < 0 && errno == EACCES ? ::open(partial.c_str(), O_RDONLY | flags) : left;
}

// What a killed writer left, or anything else that stands under the name of a partial file, loses that name. Links and
// FIFOs are not opened: a FIFO would hold us up, and what a link leads to is somebody's.
void remove_left(const Path& target, const Path& partial) {
  struct stat found;
  if (::lstat(partial.c_str(), &found) != 0) return;  // gone meanwhile
  Descriptor left;
  if (S_ISREG(found.st_mode)) {
    left.value = open_left(partial);
    if (left.value < 0 && errno == EACCES) fail_busy(target, partial);  // another user's: who knows whether it is held
    if (left.value < 0 && (errno == ENOENT || errno == ELOOP)) return;  // the name may be another writer's by now
    if (left.value < 0) fail_open(target, fmt::format("opening {}", partial.string()), errno);
    if (!lock(target, partial, left)) return;
  }
  if (::unlink(partial.c_str()) != 0 && errno != ENOENT)
    fail_open(target, fmt::format("removing {}", partial.string()), errno);
}

constexpr int most_attempts = 100;

[[noreturn]] void fail_changing(const Path& target, const Path& partial) {
  fail_run("{}: {} keeps changing under another process", target.string(), partial.string());
}

}  // namespace

int create_file(const Path& target, const Path& partial) {
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    Descriptor made{::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666)};
    if (made.value >= 0 && lock(target, partial, made)) return made.release();
    if (made.value < 0 && errno != EEXIST) fail_open(target, "creating the file", errno);
    if (made.value < 0) remove_left(target, partial);
  }
  fail_changing(target, partial);
}

int open_folder(const Path& target, const Path& partial) {
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    if (::mkdir(partial.c_str(), 0777) != 0 && errno != EEXIST) fail_open(target, "creating the folder", errno);
    Descriptor opened{::open(partial.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
    if (opened.value >= 0 && lock(target, partial, opened)) return opened.release();
    if (opened.value >= 0 || errno == ENOENT) continue;  // its writer has just renamed it
    if (errno != ENOTDIR && errno != ELOOP) fail_open(target, "creating the folder", errno);
    remove_left(target, partial);
  }
  fail_changing(target, partial);
}

void flush_folder(const Path& folder) {
  Descriptor d{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (d.value < 0 || ::fsync(d.value) != 0) fail_system(folder, "flushing the folder", errno);
}

}  // namespace baton::partial
