#pragma once

#include <filesystem>
#include <string_view>

// The steps that AtomicFile and AtomicDirectory share. No other header needs this one.
namespace baton::partial {

using Path = std::filesystem::path;

// RunError "path: doing failed: reason" for an errno value.
[[noreturn]] void fail_system(const Path& path, std::string_view doing, int error);
// The same, as InputError where the reason lies in what the user named (no such folder, no permission).
[[noreturn]] void fail_open(const Path& path, std::string_view doing, int error);

struct Descriptor {
  int value = -1;
  ~Descriptor();
  int release();  // gives up ownership
};

Path parent_of(const Path& path);
// What a symbolic link leads to is what gets replaced, not the link; "folder/" means "folder".
Path resolve(const Path& target);
// ".NAME.partial" beside the target.
Path partial_name(const Path& target);
// Opens `partial` with open(2) flags and locks it against other processes and threads. `folder`: makes it with mkdir
// first.
int open_locked(const Path& target, const Path& partial, int flags, bool folder = false);
// Makes renames in `folder` durable.
void flush_folder(const Path& folder);

}  // namespace baton::partial
