#pragma once

#include <cstdint>

namespace baton {

// Factor on the learning rate in a step counted from 0, all of the same batch: rises linearly to 1 over `warmup` steps,
// then falls along half a cosine to `floor` at `total`.
struct LearningRateSchedule {
  int64_t warmup = 0;
  int64_t total = 0;
  double floor = 0;

  double factor(int64_t step) const;
};

}  // namespace baton
