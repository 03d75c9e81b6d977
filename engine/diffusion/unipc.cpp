#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"
#include "engine/diffusion/combine.h"
#include "engine/diffusion/solvers.h"

namespace baton {
namespace {

// Solves sum_i nodes[i]^k x[i] = b[k], k = 0, 1, … (Björck & Pereyra 1970).
std::vector<double> solve_vandermonde(const std::vector<double>& nodes, std::vector<double> b) {
  const size_t n = nodes.size();
  for (size_t k = 0; k + 1 < n; ++k)
    for (size_t i = n - 1; i > k; --i) b[i] -= nodes[k] * b[i - 1];
  for (size_t k = n - 1; k-- > 0;) {
    for (size_t i = k + 1; i < n; ++i) b[i] /= nodes[i] - nodes[i - k - 1];
    for (size_t i = k; i + 1 < n; ++i) b[i] -= b[i + 1];
  }
  return b;
}

// UniPC (Zhao et al. 2023), which predicts x0. With l = log_snr, h the step in l, alpha = 1 - sigma at its end, m0 the
// newest prediction, m_i the others that take part and r_i the distance of their l from the step's start in units of h:
//   x' = sigma'/sigma x - alpha (e^-h - 1) m0 - alpha B sum_i rho_i (m_i - m0) / r_i,   B = -h (bh1) or e^-h - 1 (bh2).
// The predictor takes earlier predictions; the corrector redoes the step that led to the present latents with the
// prediction made there (r = 1) as well. The rho_i follow from matching the Taylor series of the exact solution.
class UniPC : public Sampler {
 public:
  UniPC(int order, bool bh2, std::vector<int> uncorrected)
      : max_order_(order), bh2_(bh2), uncorrected_(std::move(uncorrected)) {}

  Tensor advance(const Tensor& latents, std::span<const Step> steps, size_t i, const Denoiser& denoise) override {
    const Prediction now = predict(latents, steps[i], denoise);
    Tensor here = latents;
    if (i > 0 && std::find(uncorrected_.begin(), uncorrected_.end(), steps[i - 1].index) == uncorrected_.end())
      here = step_to(now.sigma, before_, order_, now.clean);

    history_.push_back(now);
    if (static_cast<int>(history_.size()) > max_order_) history_.erase(history_.begin());
    before_ = here;
    order_ = order_of(steps, i);
    return step_to(steps[i].sigma_next, here, order_, {});
  }

  std::vector<Tensor> history() const override {
    std::vector<Tensor> tensors{before_};
    for (const Prediction& p : history_) tensors.push_back(p.clean);
    return tensors;
  }

  void recall(std::vector<Tensor> history, std::span<const Step> steps, size_t i) override {
    before_ = history[0];
    for (size_t k = 1; k < history.size(); ++k) history_.push_back({steps[i - history.size() + k].sigma, history[k]});
    order_ = order_of(steps, i - 1);
  }

 private:
  // Orders rise as the history fills and fall towards the end (lower_order_final): the last step, to a log-SNR of
  // infinity, is of order 1.
  int order_of(std::span<const Step> steps, size_t i) const {
    return static_cast<int>(std::min(history_.size(), steps.size() - i));
  }

  // From `x`, at the noise level of the newest entry of history_, to `sigma`. `arrival`: the prediction made there, for
  // the corrector.
  Tensor step_to(double sigma, const Tensor& x, int order, const Tensor& arrival) const {
    const Prediction& start = history_.back();
    const double h = log_snr(sigma) - log_snr(start.sigma), alpha = 1 - sigma;
    std::vector<Tensor> others;
    std::vector<double> r;
    for (int k = 1; k < order; ++k) {
      const Prediction& earlier = history_[history_.size() - 1 - k];
      others.push_back(earlier.clean);
      r.push_back((log_snr(earlier.sigma) - log_snr(start.sigma)) / h);
    }
    if (arrival) {
      others.push_back(arrival);
      r.push_back(1);
    }
    std::vector<Term> terms{{sigma / start.sigma, x}, {-alpha * std::expm1(-h), start.clean}};
    if (!r.empty()) {
      const double b = bh2_ ? std::expm1(-h) : -h;
      const std::vector<double> rho = weights(r, h, b);
      for (size_t k = 0; k < r.size(); ++k) {
        const double weight = -alpha * b * rho[k] / r[k];
        terms.push_back({weight, others[k]});
        terms[1].weight -= weight;
      }
    }
    return combine(terms);
  }

  // The rho_i: sum_i r_i^(k-1) rho_i = k! phi_(k+1)(-h) (-h) / B for k = 1, 2, …, where phi_1(z) = (e^z - 1) / z and
  // phi_(k+1)(z) = (phi_k(z) - 1/k!) / z. A single one is set to 1/2 for stability, as the authors do.
  static std::vector<double> weights(const std::vector<double>& r, double h, double b) {
    if (r.size() == 1) return {0.5};
    double z_phi = std::expm1(-h), factorial = 1;  // z phi_1(z), 0!; then z phi_(k+1)(z), k!
    std::vector<double> right;
    for (size_t k = 1; k <= r.size(); ++k) {
      factorial *= static_cast<double>(k);
      z_phi = z_phi / -h - 1 / factorial;
      right.push_back(z_phi * factorial / b);
    }
    return solve_vandermonde(r, std::move(right));
  }

  int max_order_;
  bool bh2_;
  std::vector<int> uncorrected_;
  std::vector<Prediction> history_;  // newest last
  Tensor before_;                    // the latents that the last step left from
  int order_ = 1;                    // of the last step
};

}  // namespace

std::unique_ptr<Sampler> make_unipc(const SamplerConfig& config) {
  check(config.solver_order >= 1 && config.solver_order <= 3, "unipc: solver_order {}, only 1 to 3 are supported",
        config.solver_order);
  check(config.solver_type == "bh1" || config.solver_type == "bh2",
        "unipc: solver_type '{}', only bh1 and bh2 are supported", config.solver_type);
  check(config.lower_order_final || config.solver_order == 1,
        "unipc: lower_order_final false with solver_order {}: the last step, to noise level 0, is defined for order 1 "
        "only",
        config.solver_order);
  check(config.predict_x0, "unipc: predict_x0 false is not supported");
  return std::make_unique<UniPC>(config.solver_order, config.solver_type == "bh2", config.disable_corrector);
}

}  // namespace baton
