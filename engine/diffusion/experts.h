#pragma once

#include <cstdint>
#include <span>
#include <vector>

// Which expert denoises at which noise level. The routing key is t in [0, 1], 1 = pure noise, after the schedule's
// shift: the value that, times 1000, the denoiser is given as its timestep. Trainer, sampler, evaluator, planner and
// inspector all ask ExpertRanges; no other code compares a t with a boundary.
namespace baton {

constexpr double timesteps_per_unit = 1000;

// The timestep that a denoiser is given for noise level t. f32, as in diffusers.
inline float timestep_of(double t) { return static_cast<float>(t * timesteps_per_unit); }
// The noise level of a timestep. timestep_of() leads back to the same timestep.
inline double noise_level(float timestep) { return timestep / timesteps_per_unit; }

struct NoiseRange {
  double low, high;  // low <= t < high
};

// N experts, noisiest first, and N - 1 boundaries 1 >= b1 >= b2 >= … >= 0. Expert 0 owns t >= b1, expert i owns b(i+1)
// <= t < b(i), the last one t < b(N-1): a value on a boundary goes to the noisier expert. Both sides of the comparison
// are timesteps in f32, because that is what diffusers compares: a t that differs from a boundary only beyond f32 lies
// on it. Equal boundaries, and those at the ends, leave an expert out, as people do to see one alone.
class ExpertRanges {
 public:
  ExpertRanges() = default;  // one expert for every t
  explicit ExpertRanges(std::vector<double> boundaries);

  // N ranges of the same width in t.
  static ExpertRanges equal_width(int experts);
  // Boundaries that give expert i exactly steps[i] of a run's timesteps (falling, together as many as `steps` says).
  // They lie halfway between the timesteps that they part.
  static ExpertRanges for_steps(std::span<const int64_t> steps, std::span<const float> timesteps);

  int count() const { return static_cast<int>(boundaries_.size()) + 1; }
  const std::vector<double>& boundaries() const { return boundaries_; }  // as given
  NoiseRange range(int expert) const;                                    // expert 0's reaches to 1 and includes it
  int expert_of(double t) const;
  bool has_idle_expert() const;  // one whose range is empty, or t = 1 alone

  // How many of a run's timesteps each expert gets: the other way round than for_steps.
  std::vector<int64_t> steps_per_expert(std::span<const float> timesteps) const;

 private:
  std::vector<double> boundaries_;
};

}  // namespace baton
