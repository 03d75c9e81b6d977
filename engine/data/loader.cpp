#include "engine/data/loader.h"

namespace baton {

Tensor PictureLoader::samples(int64_t first, int64_t count) {
  if (first != next_ || count != count_) {
    ahead_.reset();  // its thread ends before the sequence is used anew
    ahead_.emplace([=, this](int64_t batch) { return pictures_.crops(sequence_.draws(first + batch * count, count)); },
                   0);
    count_ = count;
  }
  next_ = first + count;
  return ahead_->next();
}

}  // namespace baton
