#pragma once

#include <functional>
#include <optional>

#include "engine/comm/group.h"
#include "engine/io/file.h"

namespace baton {

// The checkpoints of a run: folders step-00001234 with a manifest of hashes, each whole or absent (AtomicDirectory).
// When a new one is complete, all but the newest `keep` intact ones go; the one that the run went on from stays while
// it runs. Damaged ones and folders of others are neither counted nor removed.
class Checkpoints {
 public:
  // Checkpoints at multiples of `keep_every` steps stay (0: none). All ranks of `ranks` call the functions below; the
  // first decides.
  Checkpoints(Path folder, int64_t keep, int64_t keep_every = 0, Group& ranks = alone());

  // `write` fills the folder that it is given, each rank its part. Returns the checkpoint. What else stands there is
  // set aside as step-00001234.damaged.
  Path save(int64_t step, const std::function<void(const Path&)>& write);
  // The newest that is as its manifest says; damaged ones are passed over and set aside, with a warning. Throws
  // InputError when there are checkpoints and none is intact: training on from nothing would lose them.
  std::optional<Path> latest();
  static std::string name(int64_t step);  // of its folder

 private:
  std::optional<Path> find_latest();
  void retire_before(int64_t step);

  Path folder_;
  int64_t keep_, keep_every_;
  Group& ranks_;
  std::optional<Path> resumed_;  // what latest() found; of the first rank
};

}  // namespace baton
