#include "engine/io/folder_lock.h"

#include <unistd.h>

#include "engine/io/partial.h"
#include "engine/io/writable.h"

namespace baton {
namespace {

std::string this_process() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

std::string read_holder(const Path& file) try {
  std::string holder = read_file(file, 1024);
  return holder.empty() ? "another process" : holder;
} catch (const InputError&) {  // gone by now, or another user's
  return fmt::format("whoever made {}", file.string());
}

}  // namespace

FolderLock::FolderLock(const Path& folder, std::string_view user) : folder_(folder), file_(folder / ".lock") {
  std::error_code none;
  for (Path path = folder; !path.empty() && !std::filesystem::exists(path, none); path = path.parent_path()) ++made_;
  make_folder(folder);
  try {
    descriptor_ = partial::create_file(folder, file_);
  } catch (const partial::Busy&) {
    const std::string holder = read_holder(file_);
    fail("{}: another {} is using this folder ({}); wait for its end or choose another folder", folder.string(), user,
         holder);
  }
  const std::string holder = this_process();
  // The name is for people: the lock holds without it, on a full disk too.
  (void)!::pwrite(descriptor_, holder.data(), holder.size(), 0);
}

FolderLock::~FolderLock() {
  // While it is locked: who has opened it meanwhile sees that the name is gone, and opens anew.
  partial::remove_file(file_, descriptor_);
  ::close(descriptor_);
  for (Path empty = folder_; made_ > 0 && ::rmdir(empty.c_str()) == 0; empty = empty.parent_path()) --made_;
}

}  // namespace baton
