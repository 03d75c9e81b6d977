#pragma once

#include <functional>
#include <optional>

#include "engine/io/file.h"

namespace baton {

// The checkpoints of a run: folders step-00001234 with a manifest of hashes, each whole or absent (AtomicDirectory).
// When a new one is complete, all but the newest `keep` go.
class Checkpoints {
 public:
  Checkpoints(Path folder, int64_t keep);

  // `write` fills the folder that it is given.
  void save(int64_t step, const std::function<void(const Path&)>& write);
  // The newest that is as its manifest says; damaged ones are passed over with a warning. Throws InputError when there
  // are checkpoints and none is intact: training on from nothing would lose them.
  std::optional<Path> latest() const;

 private:
  Path folder_;
  int64_t keep_;
};

}  // namespace baton
