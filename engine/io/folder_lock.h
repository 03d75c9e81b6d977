#pragma once

#include "engine/io/file.h"

namespace baton {

// Keeps a folder for one process: a second one is refused with the first one's number and host. Whatever ends the
// process, the kernel gives the folder back. A folder that was made for it and is empty at its end goes. Where a file
// system has no locks (some network ones), nobody is refused.
class FolderLock {
 public:
  // Makes the folder if it is missing. InputError if it is taken; `user` says by what, for example "training".
  FolderLock(const Path& folder, std::string_view user);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  Path folder_, file_;
  int made_ = 0;  // the folder and those that it is in, as far as they were missing
  int descriptor_;
};

}  // namespace baton
