#include "engine/diffusion/combine.h"
#include "engine/diffusion/solvers.h"

namespace baton {
namespace {

// An Euler step, then the same step again with the mean of the velocities at both ends. The second one belongs to the
// next row of the table, and so does its expert. The last step is Euler's: at sigma 0 there is nothing left to predict.
class Heun : public Sampler {
 public:
  Tensor advance(const Tensor& latents, std::span<const Step> steps, size_t i, const Denoiser& denoise) override {
    const double length = static_cast<double>(steps[i].sigma_next) - steps[i].sigma;
    const Tensor velocity = denoise(latents, steps[i]);
    const Tensor ahead = combine({{1, latents}, {length, velocity}});
    if (i + 1 == steps.size()) return ahead;
    return combine({{1, latents}, {length / 2, velocity}, {length / 2, denoise(ahead, steps[i + 1])}});
  }
};

}  // namespace

std::unique_ptr<Sampler> make_heun(const SamplerConfig&) { return std::make_unique<Heun>(); }

}  // namespace baton
