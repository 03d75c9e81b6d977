#pragma once

#include <span>
#include <vector>

#include "engine/diffusion/experts.h"

// Noise levels of a sampling run. In flow matching a latent at noise level sigma is (1 - sigma) image + sigma noise,
// and sigma is t up to the rounding that a solver's reference in diffusers does on one of the two.
namespace baton {

struct Schedule {
  std::vector<float> sigmas;     // n + 1, falling; the last is 0
  std::vector<float> timesteps;  // n, as the denoiser is given them
  int steps() const { return static_cast<int>(timesteps.size()); }
};

// sigma -> shift sigma / (1 + (shift - 1) sigma): more steps at high noise for shift > 1 (Esser et al. 2024).
// Each function gives the sigmas and timesteps of the diffusers scheduler that it is named after: `steps` evenly spaced
// levels, or the given `sigmas` (falling in (0, 1], without the final 0), which pass through the shift as well.
Schedule unipc_schedule(double shift, int steps);
Schedule unipc_schedule(double shift, std::span<const double> sigmas);
Schedule dpm_solver_schedule(double shift, int steps);
Schedule euler_schedule(double shift, int steps);
Schedule euler_schedule(double shift, std::span<const double> sigmas);

// One row of the table that `--dry-run` prints and the samplers walk along.
struct Step {
  int index;         // in the whole schedule
  float timestep;    // what the denoiser is given
  double t;          // the routing key, noise_level(timestep)
  float sigma;       // of the latents before the step
  float sigma_next;  // and after it
  int expert;
  float guidance;
};

// `guidance`: one value, or one for each expert. `strength` < 1 (image to image) leaves out the first steps, as
// diffusers does: the run starts from the image noised to the first row's sigma.
std::vector<Step> step_table(const Schedule& schedule, const ExpertRanges& experts, std::span<const double> guidance,
                             double strength = 1);

}  // namespace baton
