#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/diffusion/schedule.h"
#include "engine/tensor/tensor.h"

namespace baton {

// A scheduler of diffusers, under the keys of its scheduler_config.json. Values other than those that the checks accept
// would change the picture, so they are refused by name; keys that do not matter to flow matching (beta_start,
// timestep_spacing, …) are left out.
struct SamplerConfig {
  std::string class_name = "UniPCMultistepScheduler";  // "_class_name"
  double flow_shift = 1;                               // "shift" in the flow-match schedulers
  int solver_order = 2;                                // UniPC 1-3, DPM-Solver 1-2
  std::string solver_type = "bh2";                     // UniPC bh1, bh2; DPM-Solver midpoint, heun
  bool lower_order_final = true;
  std::vector<int> disable_corrector;  // UniPC: the steps after which the corrector does not run

  // One value each is supported. Mind that diffusers' defaults for absent prediction_type and use_flow_sigmas are
  // others.
  int num_train_timesteps = 1000;
  std::string prediction_type = "flow_prediction";
  bool use_flow_sigmas = true;
  bool predict_x0 = true;
  std::string algorithm_type = "dpmsolver++";
  std::string final_sigmas_type = "zero";
  bool thresholding = false;
  bool use_karras_sigmas = false, use_exponential_sigmas = false, use_beta_sigmas = false, use_lu_lambdas = false;
  bool use_dynamic_shifting = false, invert_sigmas = false, stochastic_sampling = false;
  std::optional<double> shift_terminal;
};

// The names for --sampler: unipc, euler, heun, dpm++2m.
std::vector<std::string> sampler_names();
std::string sampler_name(const SamplerConfig& config);
// The same shift with another solver, at that solver's own defaults; the config itself if it has that solver already.
SamplerConfig with_sampler(const SamplerConfig& config, std::string_view name);

// The noise levels of a run: evenly spaced, or custom ones (before the shift).
Schedule make_schedule(const SamplerConfig& config, int steps);
Schedule make_schedule(const SamplerConfig& config, std::span<const double> sigmas);

// The velocity (noise - image) that the step's expert predicts for latents at the step's noise level, guidance
// included. Same shape, f32.
using Denoiser = std::function<Tensor(const Tensor& latents, const Step& step)>;

// A solver of dx/dsigma = velocity. One object walks one trajectory. Solvers with a history keep it across the
// hand-over between experts, as diffusers does.
class Sampler {
 public:
  virtual ~Sampler() = default;
  // From the latents at steps[i].sigma to those at steps[i].sigma_next. Called for i = 0, 1, …
  virtual Tensor advance(const Tensor& latents, std::span<const Step> steps, size_t i, const Denoiser& denoise) = 0;
  // What the next step reads of earlier ones, each shaped like the latents; and the same given to a fresh solver, which
  // goes on with step i.
  virtual std::vector<Tensor> history() const { return {}; }
  virtual void recall(std::vector<Tensor> history, std::span<const Step> steps, size_t i);
};
std::unique_ptr<Sampler> make_sampler(const SamplerConfig& config);

// A run between two steps: what one needs to go on with it, here or elsewhere.
struct Trajectory {
  Tensor latents;
  std::vector<Tensor> history;  // of the solver
  size_t next = 0;              // step
};

// Takes a run up to step `end`. `after_step` sees the latents that each step leads to. Throws RunError naming step and
// expert when the denoiser gives a value that is not finite. Nothing is recorded.
void sample(const SamplerConfig& config, std::span<const Step> steps, Trajectory& run, size_t end,
            const Denoiser& denoise, const std::function<void(const Step&, const Tensor&)>& after_step = {});
// The whole run: from latents at steps[0].sigma (pure noise, or a noised image) to clean ones.
Tensor sample(const SamplerConfig& config, std::span<const Step> steps, Tensor latents, const Denoiser& denoise,
              const std::function<void(const Step&, const Tensor&)>& after_step = {});

}  // namespace baton
