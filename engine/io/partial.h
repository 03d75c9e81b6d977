#pragma once

#include <filesystem>
#include <string_view>

#include "engine/core/error.h"

// The steps that AtomicFile and AtomicDirectory share. No other header needs this one.
namespace baton::partial {

using Path = std::filesystem::path;

// RunError "path: doing failed: reason" for an errno value.
[[noreturn]] void fail_system(const Path& path, std::string_view doing, int error);
// The same, as InputError where the reason lies in what the user named (no such folder, no permission).
[[noreturn]] void fail_open(const Path& path, std::string_view doing, int error);

// Another process is writing the same file or folder.
struct Busy : RunError {
  using RunError::RunError;
};

struct Descriptor {
  int value = -1;
  ~Descriptor();
  int release();  // gives up ownership
};

Path parent_of(const Path& path);
// What a symbolic link leads to is what gets replaced, not the link, also where nothing is there yet; "folder/" means
// "folder".
Path resolve(const Path& target);
// ".NAME.partial" beside the target; of a name too long for that, its beginning and a hash.
Path partial_name(const Path& target);
// Makes the empty file `partial`, locked against other processes and threads as far as the file system can. What stands
// there under this name, left by a killed writer or put there by somebody, is removed and harms nobody; Busy if a
// writer holds it.
int create_file(const Path& target, const Path& partial);
// The same for a folder, which may be there and keeps what is in it.
int open_folder(const Path& target, const Path& partial);
// Whether the name still leads to what was opened: where there are no locks, another writer may have taken it.
bool is_named(const Path& partial, int descriptor);
// RunError if it does not: to be asked before a rename, which would put another writer's half file in place.
void check_named(const Path& target, const Path& partial, int descriptor);
// Removes the file if it does.
void remove_file(const Path& partial, int descriptor);
// Makes renames in `folder` durable.
void flush_folder(const Path& folder);

}  // namespace baton::partial
