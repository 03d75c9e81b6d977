#include "engine/diffusion/combine.h"
#include "engine/diffusion/solvers.h"

namespace baton {
namespace {

// x + (sigma_next - sigma) velocity.
class Euler : public Sampler {
 public:
  Tensor advance(const Tensor& latents, std::span<const Step> steps, size_t i, const Denoiser& denoise) override {
    const Step& step = steps[i];
    return combine({{1, latents}, {static_cast<double>(step.sigma_next) - step.sigma, denoise(latents, step)}});
  }
};

}  // namespace

std::unique_ptr<Sampler> make_euler(const SamplerConfig&) { return std::make_unique<Euler>(); }

}  // namespace baton
