#include "engine/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace baton {

double LearningRateSchedule::factor(int64_t step) const {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (step >= total) return floor;
  const double done = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

}  // namespace baton
