#pragma once

#include <memory>

#include "engine/diffusion/sampler.h"

// One file for each solver; engine/diffusion/sampler.cpp holds the table of them. All settings that a solver reads are
// checked when it is made.
namespace baton {

std::unique_ptr<Sampler> make_euler(const SamplerConfig& config);
std::unique_ptr<Sampler> make_heun(const SamplerConfig& config);
std::unique_ptr<Sampler> make_unipc(const SamplerConfig& config);
std::unique_ptr<Sampler> make_dpm_solver(const SamplerConfig& config);

// What a multistep solver remembers of a step: the clean latents that it predicted, x0 = x - sigma velocity.
struct Prediction {
  double sigma;
  Tensor clean;
};
Prediction predict(const Tensor& latents, const Step& step, const Denoiser& denoise);

// Half the log of the signal-to-noise ratio up to a factor: log((1 - sigma) / sigma), infinite at 0. Multistep solvers
// are polynomial in it.
double log_snr(double sigma);

}  // namespace baton
