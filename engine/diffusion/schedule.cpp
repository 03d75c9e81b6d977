#include "engine/diffusion/schedule.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/diffusion/guidance.h"

namespace baton {
namespace {

// The precision of each line below is that of diffusers (numpy in double, torch in float), so that both agree on every
// timestep, and with it on the expert of every step.

constexpr int max_steps = static_cast<int>(timesteps_per_unit);

void check_shift(double shift) {
  check(shift > 0 && std::isfinite(shift), "shift: {} must be a positive number", shift);
}

void check_steps(int steps) {
  check(steps >= 1 && steps <= max_steps, "steps: {} must be between 1 and {}", steps, max_steps);
}

void check_sigmas(std::span<const double> sigmas) {
  check(!sigmas.empty() && sigmas.size() <= max_steps, "sigmas: {} values, between 1 and {} are needed", sigmas.size(),
        max_steps);
  double above = std::nextafter(1.0, 2.0);
  for (const double sigma : sigmas) {
    check(sigma > 0 && sigma < above,
          "sigmas: {} must fall from each to the next inside (0, 1], without a final 0; {} does not fit", sigmas,
          sigma);
    above = sigma;
  }
}

template <typename T>
T shifted(T sigma, T shift, T shift_minus_one) {
  return shift * sigma / (1 + shift_minus_one * sigma);
}

double shifted(double sigma, double shift) { return shifted(sigma, shift, shift - 1); }

// n values from `first` on, the way to `last` divided into `parts`.
std::vector<double> spaced(double first, double last, int parts, int n) {
  const double step = (last - first) / parts;
  std::vector<double> values(n);
  for (int i = 0; i < n; ++i) values[i] = i * step + first;
  return values;
}

// What UniPC and DPM-Solver share: whole timesteps, sigmas rounded to f32 independently.
Schedule whole_timesteps(std::span<const double> sigmas) {
  Schedule schedule;
  for (const double sigma : sigmas) {
    schedule.sigmas.push_back(static_cast<float>(sigma));
    schedule.timesteps.push_back(static_cast<float>(std::trunc(sigma * timesteps_per_unit)));
  }
  schedule.sigmas.push_back(0);
  return schedule;
}

Schedule exact_timesteps(std::vector<float> sigmas) {
  Schedule schedule;
  for (float& sigma : sigmas) {
    sigma = std::min(sigma, 1.0f);  // rounding in the shift can end above
    schedule.timesteps.push_back(sigma * static_cast<float>(timesteps_per_unit));
  }
  schedule.sigmas = std::move(sigmas);
  schedule.sigmas.push_back(0);
  return schedule;
}

// The shift, and a first sigma below 1, where the log-SNR is finite.
Schedule unipc_shifted(double shift, std::vector<double> sigmas) {
  constexpr double margin = 1e-6;
  for (double& sigma : sigmas) sigma = shifted(sigma, shift);
  if (std::abs(sigmas[0] - 1) < margin) sigmas[0] -= margin;
  return whole_timesteps(sigmas);
}

}  // namespace

Schedule unipc_schedule(double shift, int steps) {
  check_shift(shift);
  check_steps(steps);
  return unipc_shifted(shift, spaced(1, 1 / timesteps_per_unit, steps, steps));
}

Schedule unipc_schedule(double shift, std::span<const double> sigmas) {
  check_shift(shift);
  check_sigmas(sigmas);
  return unipc_shifted(shift, {sigmas.begin(), sigmas.end()});
}

Schedule dpm_solver_schedule(double shift, int steps) {
  check_shift(shift);
  check_steps(steps);
  std::vector<double> alphas = spaced(1, 1 / timesteps_per_unit, steps, steps + 1), sigmas;
  alphas[steps] = 1 / timesteps_per_unit;
  for (int i = steps; i >= 1; --i) sigmas.push_back(shifted(1 - alphas[i], shift));
  return whole_timesteps(sigmas);
}

Schedule euler_schedule(double shift, int steps) {
  check_shift(shift);
  check_steps(steps);
  // diffusers spaces the steps between the largest and the smallest *shifted* level and then shifts them again, so that
  // its last step starts near shift^2 / 1000.
  const auto level = [shift](float sigma) {
    return shifted(sigma, static_cast<float>(shift), static_cast<float>(shift - 1));
  };
  const double first = level(1) * timesteps_per_unit,
               last = level(1 / static_cast<float>(timesteps_per_unit)) * timesteps_per_unit;
  std::vector<double> timesteps = spaced(first, last, std::max(steps - 1, 1), steps);
  if (steps > 1) timesteps.back() = last;
  std::vector<float> sigmas;
  for (const double timestep : timesteps)
    sigmas.push_back(static_cast<float>(shifted(timestep / timesteps_per_unit, shift)));
  return exact_timesteps(std::move(sigmas));
}

Schedule euler_schedule(double shift, std::span<const double> sigmas) {
  check_shift(shift);
  check_sigmas(sigmas);
  std::vector<float> levels;
  for (const double sigma : sigmas)
    levels.push_back(shifted(static_cast<float>(sigma), static_cast<float>(shift), static_cast<float>(shift - 1)));
  return exact_timesteps(std::move(levels));
}

std::vector<Step> step_table(const Schedule& schedule, const ExpertRanges& experts, std::span<const double> guidance,
                             double strength) {
  check(strength > 0 && strength <= 1, "strength: {} must be above 0 and at most 1", strength);
  const int steps = schedule.steps(), kept = static_cast<int>(steps * strength);
  check(kept >= 1, "strength: {} of {} steps leaves none; take at least {} steps or a strength of {}", strength, steps,
        static_cast<int>(std::ceil(1 / strength)), 1.0 / steps);
  const std::vector<float> scales = guidance_per_expert(guidance, experts.count());
  std::vector<Step> table;
  for (int i = steps - kept; i < steps; ++i) {
    const double t = noise_level(schedule.timesteps[i]);
    const int expert = experts.expert_of(t);
    table.push_back({i, schedule.timesteps[i], t, schedule.sigmas[i], schedule.sigmas[i + 1], expert, scales[expert]});
  }
  return table;
}

}  // namespace baton
