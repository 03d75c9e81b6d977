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

}  // namespace

FolderLock::FolderLock(const Path& folder, std::string_view user) : folder_(folder), file_(folder / ".lock") {
  std::error_code none;
  for (Path path = folder; !path.empty() && !std::filesystem::exists(path, none); path = path.parent_path()) ++made_;
  make_folder(folder);
  try {
    descriptor_ = partial::create_file(folder, file_);
  } catch (const partial::Busy&) {
    std::string holder = "another process";
    if (std::string text = read_file(file_, 1024); !text.empty()) holder = std::move(text);
    fail("{}: another {} is using this folder ({}); wait for its end or choose another folder", folder.string(), user,
         holder);
  }
  const std::string holder = this_process();
  // The name is for people: the lock holds without it, on a full disk too.
  (void)!::pwrite(descriptor_, holder.data(), holder.size(), 0);
}

FolderLock::~FolderLock() {
  ::unlink(
      file_.c_str());  // while it is locked: who has opened it meanwhile sees that the name is gone, and opens anew
  ::close(descriptor_);
  for (Path empty = folder_; made_ > 0 && ::rmdir(empty.c_str()) == 0; empty = empty.parent_path()) --made_;
}

}  // namespace baton
