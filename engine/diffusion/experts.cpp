#include "engine/diffusion/experts.h"

#include <numeric>

#include "engine/core/error.h"
#include "engine/core/require.h"

namespace baton {

ExpertRanges::ExpertRanges(std::vector<double> boundaries) : boundaries_(std::move(boundaries)) {
  float above = timestep_of(1);
  for (const double boundary : boundaries_) {
    const float here = timestep_of(boundary);
    check(here >= 0 && here <= above,  // false for NaN too
          "experts: boundaries {} must lie between 0 and 1 and fall from each to the next (noisiest first); "
          "{} does not fit",
          boundaries_, boundary);
    above = here;
  }
}

ExpertRanges ExpertRanges::equal_width(int experts) {
  check(experts >= 1, "experts: {} experts asked for, at least 1 is needed", experts);
  std::vector<double> boundaries;
  for (int i = 1; i < experts; ++i) boundaries.push_back(static_cast<double>(experts - i) / experts);
  return ExpertRanges(std::move(boundaries));
}

ExpertRanges ExpertRanges::for_steps(std::span<const int64_t> steps, std::span<const float> timesteps) {
  check(!steps.empty(), "steps per expert: empty, one number for each expert is needed");
  for (const int64_t n : steps) check(n >= 0, "steps per expert: {} has a negative number", steps);
  const int64_t total = std::accumulate(steps.begin(), steps.end(), int64_t{0});
  check(total == static_cast<int64_t>(timesteps.size()), "steps per expert: {} add up to {}, the run has {} steps",
        steps, total, timesteps.size());

  // Boundaries with no step between them share one gap and divide it evenly.
  std::vector<double> boundaries;
  size_t first = 0;  // of the steps below the gap
  for (size_t expert = 0; expert + 1 < steps.size();) {
    first += steps[expert];
    size_t next = expert + 1;
    while (next + 1 < steps.size() && steps[next] == 0) ++next;
    const double high = first == 0 ? 1 : noise_level(timesteps[first - 1]);
    const double low = first == timesteps.size() ? 0 : noise_level(timesteps[first]);
    check(low < high, "steps per expert: {} need a boundary between t {} and t {} around step {}, and there is no room",
          steps, high, low, first);
    const size_t parts = next - expert + 1;
    for (size_t i = 1; i < parts; ++i)
      boundaries.push_back(high - (high - low) * static_cast<double>(i) / static_cast<double>(parts));
    expert = next;
  }
  return ExpertRanges(std::move(boundaries));
}

NoiseRange ExpertRanges::range(int expert) const {
  require(expert >= 0 && expert < count(), "experts: there is no expert {} among {}", expert, count());
  return {expert == count() - 1 ? 0 : boundaries_[expert], expert == 0 ? 1 : boundaries_[expert - 1]};
}

bool ExpertRanges::has_idle_expert() const {
  for (int i = 0; i < count(); ++i)
    if (const NoiseRange r = range(i); timestep_of(r.low) >= timestep_of(r.high)) return true;
  return false;
}

int ExpertRanges::expert_of(double t) const {
  require(t >= 0 && t <= 1, "experts: noise level {} lies outside [0, 1]", t);
  const float timestep = timestep_of(t);
  int expert = 0;
  while (expert < count() - 1 && timestep < timestep_of(boundaries_[expert])) ++expert;
  return expert;
}

std::vector<int64_t> ExpertRanges::steps_per_expert(std::span<const float> timesteps) const {
  std::vector<int64_t> steps(count(), 0);
  for (const float timestep : timesteps) ++steps[expert_of(noise_level(timestep))];
  return steps;
}

}  // namespace baton
