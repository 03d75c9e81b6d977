#pragma once

#include <optional>

#include "engine/data/draw_sequence.h"
#include "engine/data/pictures.h"
#include "engine/data/prefetch.h"

namespace baton {

// Training samples of pictures, made on a background thread before they are asked for: a run of equal calls that follow
// each other never waits for a decoder that is fast enough. Any other call is right as well, and starts a new run.
class PictureLoader {
 public:
  // Both must outlive it, and the sequence serves nobody else.
  PictureLoader(const Pictures& pictures, DrawSequence& sequence) : pictures_(pictures), sequence_(sequence) {}

  // [count, 3, c, c] f32 in [-1, 1]: samples first … first + count - 1.
  Tensor samples(int64_t first, int64_t count);

 private:
  const Pictures& pictures_;
  DrawSequence& sequence_;
  int64_t next_ = -1, count_ = 0;  // the call that `ahead_` is ready for
  std::optional<Prefetcher<Tensor>> ahead_;
};

}  // namespace baton
