#include "engine/diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/diffusion/combine.h"
#include "engine/diffusion/solvers.h"

namespace baton {
namespace {

// The registry: a new sampler is a file with its make_ function, and a row here.
struct Entry {
  std::string_view name, class_name;
  std::string_view default_solver_type;
  Schedule (*spaced)(double shift, int steps);
  Schedule (*custom)(double shift, std::span<const double> sigmas);
  std::unique_ptr<Sampler> (*make)(const SamplerConfig& config);
};
constexpr Entry registry[] = {
    {"unipc", "UniPCMultistepScheduler", "bh2", unipc_schedule, unipc_schedule, make_unipc},
    {"euler", "FlowMatchEulerDiscreteScheduler", "", euler_schedule, euler_schedule, make_euler},
    {"heun", "FlowMatchHeunDiscreteScheduler", "", euler_schedule, euler_schedule, make_heun},
    {"dpm++2m", "DPMSolverMultistepScheduler", "midpoint", dpm_solver_schedule, unipc_schedule, make_dpm_solver},
};

// The row whose `field` is `value`.
const Entry& find(std::string_view Entry::*field, std::string_view value, std::string_view what) {
  for (const Entry& entry : registry)
    if (entry.*field == value) return entry;
  std::vector<std::string_view> known;
  for (const Entry& entry : registry) known.push_back(entry.*field);
  fail("{}: '{}' is unknown; there are {}", what, value, fmt::join(known, ", "));
}

const Entry& entry_of(const SamplerConfig& config) { return find(&Entry::class_name, config.class_name, "scheduler"); }

void check_supported(const SamplerConfig& config) {
  check(config.num_train_timesteps == static_cast<int>(timesteps_per_unit),
        "scheduler: num_train_timesteps {}, only {} is supported", config.num_train_timesteps, timesteps_per_unit);
  check(config.prediction_type == "flow_prediction",
        "scheduler: prediction_type '{}', only flow_prediction is supported", config.prediction_type);
  check(config.use_flow_sigmas,
        "scheduler: use_flow_sigmas false (a variance-preserving model) is not supported, only flow matching is");
  check(config.final_sigmas_type == "zero", "scheduler: final_sigmas_type '{}', only zero is supported",
        config.final_sigmas_type);
  check(!config.shift_terminal, "scheduler: shift_terminal {} is not supported", config.shift_terminal.value_or(0));
  const std::pair<std::string_view, bool> off[] = {{"thresholding", config.thresholding},
                                                   {"use_karras_sigmas", config.use_karras_sigmas},
                                                   {"use_exponential_sigmas", config.use_exponential_sigmas},
                                                   {"use_beta_sigmas", config.use_beta_sigmas},
                                                   {"use_lu_lambdas", config.use_lu_lambdas},
                                                   {"use_dynamic_shifting", config.use_dynamic_shifting},
                                                   {"invert_sigmas", config.invert_sigmas},
                                                   {"stochastic_sampling", config.stochastic_sampling}};
  for (const auto& [key, value] : off) check(!value, "scheduler: {} true is not supported", key);
}

// The denoiser, stopped at its first value that is not finite.
Tensor checked(const Denoiser& denoise, const Tensor& latents, const Step& step) {
  const Tensor velocity = denoise(latents, step);
  require(velocity.defined() && velocity.shape() == latents.shape(), "denoiser: latents {} gave {}", latents.shape(),
          velocity.defined() ? velocity.shape() : Shape{});
  const float* values = velocity.data<float>();
  for (int64_t i = 0; i < velocity.numel(); ++i)
    if (!std::isfinite(values[i]))
      fail_run("step {} (t {:.4f}): expert {} gave {} at element {} of {}", step.index, step.t, step.expert, values[i],
               i, velocity.numel());
  return velocity;
}

}  // namespace

std::vector<std::string> sampler_names() {
  std::vector<std::string> names;
  for (const Entry& entry : registry) names.emplace_back(entry.name);
  return names;
}

std::string sampler_name(const SamplerConfig& config) { return std::string(entry_of(config).name); }

SamplerConfig with_sampler(const SamplerConfig& config, std::string_view name) {
  const Entry& entry = find(&Entry::name, name, "sampler");
  if (config.class_name == entry.class_name) return config;
  return {.class_name = std::string(entry.class_name),
          .flow_shift = config.flow_shift,
          .solver_type = std::string(entry.default_solver_type)};
}

Schedule make_schedule(const SamplerConfig& config, int steps) {
  check_supported(config);
  return entry_of(config).spaced(config.flow_shift, steps);
}

Schedule make_schedule(const SamplerConfig& config, std::span<const double> sigmas) {
  check_supported(config);
  return entry_of(config).custom(config.flow_shift, sigmas);
}

std::unique_ptr<Sampler> make_sampler(const SamplerConfig& config) {
  check_supported(config);
  return entry_of(config).make(config);
}

Prediction predict(const Tensor& latents, const Step& step, const Denoiser& denoise) {
  return {step.sigma, combine({{1, latents}, {-static_cast<double>(step.sigma), denoise(latents, step)}})};
}

double log_snr(double sigma) { return std::log(1 - sigma) - std::log(sigma); }

void Sampler::recall(std::vector<Tensor> history, std::span<const Step>, size_t) {
  require(history.empty(), "sampler: {} tensors of history for a solver that keeps none", history.size());
}

void sample(const SamplerConfig& config, std::span<const Step> steps, Trajectory& run, size_t end,
            const Denoiser& denoise, const std::function<void(const Step&, const Tensor&)>& after_step) {
  const NoGrad no_grad;
  const std::unique_ptr<Sampler> sampler = make_sampler(config);
  if (run.next > 0) sampler->recall(std::move(run.history), steps, run.next);
  const Denoiser checked_denoise = [&denoise](const Tensor& x, const Step& step) { return checked(denoise, x, step); };
  for (; run.next < end; ++run.next) {
    run.latents = sampler->advance(run.latents, steps, run.next, checked_denoise);
    if (after_step) after_step(steps[run.next], run.latents);
  }
  run.history = sampler->history();
}

Tensor sample(const SamplerConfig& config, std::span<const Step> steps, Tensor latents, const Denoiser& denoise,
              const std::function<void(const Step&, const Tensor&)>& after_step) {
  Trajectory run{std::move(latents), {}, 0};
  sample(config, steps, run, steps.size(), denoise, after_step);
  return run.latents;
}

}  // namespace baton
