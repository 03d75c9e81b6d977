#pragma once

#include "engine/io/file.h"

namespace baton {

// Keeps a folder for one process: a second one is refused with the first one's number and host. Whatever ends the
// process, the kernel gives the folder back. Where a file system has no locks (some network ones), nobody is refused.
class FolderLock {
 public:
  // Makes the folder if it is missing. InputError if it is taken; `user` says by what, for example "training".
  FolderLock(const Path& folder, std::string_view user);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  Path file_;
  int descriptor_;
};

}  // namespace baton
