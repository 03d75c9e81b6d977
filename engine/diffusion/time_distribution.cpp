#include "engine/diffusion/time_distribution.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace baton {

double TimeDistribution::cumulative(double t) const {
  if (t <= 0) return 0;
  if (t >= 1) return 1;
  const double u = t / (shift - (shift - 1) * t);  // before the shift
  if (law == Law::uniform) return u;
  const double z = (std::log(u / (1 - u)) - mean) / deviation;
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double TimeDistribution::quantile(double p) const {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {  // to far below f32's resolution
    const double middle = 0.5 * (low + high);
    (cumulative(middle) < p ? low : high) = middle;
  }
  return high;
}

std::vector<double> expected_shares(const ExpertRanges& experts, const TimeDistribution& distribution) {
  std::vector<double> shares;
  for (int i = 0; i < experts.count(); ++i) {
    const auto [low, high] = experts.range(i);
    shares.push_back(distribution.cumulative(high) - distribution.cumulative(low));
  }
  return shares;
}

ExpertRanges equal_shares(int experts, const TimeDistribution& distribution) {
  check(experts >= 1, "experts: {} experts asked for, at least 1 is needed", experts);
  std::vector<double> boundaries;
  for (int i = 1; i < experts; ++i)
    boundaries.push_back(distribution.quantile(static_cast<double>(experts - i) / experts));
  return ExpertRanges(std::move(boundaries));
}

std::vector<double> draw_times(const TimeDistribution& distribution, int count, uint64_t seed, uint64_t stream,
                               NoiseRange range) {
  check(distribution.shift > 0 && std::isfinite(distribution.shift), "t: shift {} must be positive",
        distribution.shift);
  check(distribution.deviation > 0 && std::isfinite(distribution.deviation) && std::isfinite(distribution.mean),
        "t: mean {} and deviation {} must be finite, the deviation positive", distribution.mean,
        distribution.deviation);
  check(range.low >= 0 && range.low < range.high && range.high <= 1,
        "t: range {} to {} must lie in [0, 1] and not be empty", range.low, range.high);
  const double first = distribution.cumulative(range.low), share = distribution.cumulative(range.high) - first;
  check(share > 0, "t: the distribution gives nothing between {} and {}", range.low, range.high);
  const double offset = random_uniform(seed, stream, 0);
  std::vector<double> times(count);
  for (int i = 0; i < count; ++i) {
    const double t = distribution.quantile(first + share * (i + offset) / count);
    times[i] = noise_level(timestep_of(t));
  }
  for (int i = count - 1; i > 0; --i) std::swap(times[i], times[random_below(i + 1, seed, stream, i)]);
  return times;
}

}  // namespace baton
