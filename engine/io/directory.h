#pragma once

#include "engine/io/file.h"

namespace baton {

// A folder in the making (a checkpoint, an exported model): write files below path(), then commit() adds manifest.json
// (size and hash of every file), flushes all and renames. An existing folder is replaced in one step, and only if it is
// empty or has a manifest, so that nobody's pictures are lost. Without commit() the folder disappears.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const Path& target);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const Path& path() const { return partial_; }
  void commit();

 private:
  Path target_, partial_;
  int descriptor_ = -1;
};

// Throws InputError naming the first file below `folder` that is missing, or that has another size or (with `hashes`)
// other content than its manifest says. Files that the manifest does not know (.DS_Store, .nfs…) do no harm.
void check_manifest(const Path& folder, bool hashes = true);

}  // namespace baton
