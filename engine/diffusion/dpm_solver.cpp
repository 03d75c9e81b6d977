#include <cmath>
#include <optional>
#include <utility>

#include "engine/core/error.h"
#include "engine/diffusion/combine.h"
#include "engine/diffusion/solvers.h"

namespace baton {
namespace {

// DPM-Solver++ (Lu et al. 2022), multistep, order 1 or 2. With l = log_snr, h the step in l, and alpha = 1 - sigma at
// its end:
//   x' = sigma'/sigma x - alpha (e^-h - 1) m0 - alpha c D,  D = (m0 - m1) h / h_before,
// where m0 and m1 are this prediction and the one before. c = (e^-h - 1) / 2 (midpoint) or -((e^-h - 1) / h + 1)
// (heun). The first step and the last (h infinite) have no D.
class DpmSolver : public Sampler {
 public:
  DpmSolver(int order, bool midpoint) : order_(order), midpoint_(midpoint) {}

  Tensor advance(const Tensor& latents, std::span<const Step> steps, size_t i, const Denoiser& denoise) override {
    const Prediction now = predict(latents, steps[i], denoise);
    const double sigma = steps[i].sigma_next, alpha = 1 - sigma;
    const double h = log_snr(sigma) - log_snr(now.sigma), decay = std::expm1(-h);
    std::vector<Term> terms{{sigma / now.sigma, latents}, {-alpha * decay, now.clean}};
    if (order_ == 2 && before_ && i + 1 < steps.size()) {
      const double h_before = log_snr(now.sigma) - log_snr(before_->sigma);
      const double weight = -alpha * (midpoint_ ? decay / 2 : -(decay / h + 1)) * h / h_before;
      terms[1].weight += weight;
      terms.push_back({-weight, before_->clean});
    }
    before_ = now;
    return combine(terms);
  }

  std::vector<Tensor> history() const override { return {before_->clean}; }
  void recall(std::vector<Tensor> history, std::span<const Step> steps, size_t i) override {
    before_ = {steps[i - 1].sigma, history[0]};
  }

 private:
  int order_;
  bool midpoint_;
  std::optional<Prediction> before_;
};

}  // namespace

std::unique_ptr<Sampler> make_dpm_solver(const SamplerConfig& config) {
  check(config.solver_order == 1 || config.solver_order == 2, "dpm++2m: solver_order {}, only 1 and 2 are supported",
        config.solver_order);
  check(config.solver_type == "midpoint" || config.solver_type == "heun",
        "dpm++2m: solver_type '{}', only midpoint and heun are supported", config.solver_type);
  check(config.algorithm_type == "dpmsolver++", "dpm++2m: algorithm_type '{}', only dpmsolver++ is supported",
        config.algorithm_type);
  return std::make_unique<DpmSolver>(config.solver_order, config.solver_type == "midpoint");
}

}  // namespace baton
