#include "engine/train/vae_loss.h"

#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"

namespace baton {
namespace {

// Mean |x[i + 1] - x[i]| along `dim`.
Tensor mean_difference(const Tensor& x, int dim) {
  const int64_t length = x.dim(dim) - 1;
  return mean(abs(narrow(x, dim, 1, length) - narrow(x, dim, 0, length)));
}

}  // namespace

VaeLoss vae_loss(const Tensor& picture, const Tensor& reconstruction, const WanVae::Posterior& posterior,
                 const VaeLossConfig& weights) {
  const Tensor error = reconstruction - picture;
  VaeLoss loss;
  loss.l1 = mean(abs(error));
  loss.mse = mean(square(error));
  loss.gradient = mean_difference(error, 3) + mean_difference(error, 4);
  // 1/2 (mean^2 + variance - 1 - log variance)
  const Tensor divergence = square(posterior.mean) + exp(posterior.logvar) - posterior.logvar;
  loss.kl = affine(mean(divergence), 0.5f, -0.5f);
  const auto weighted = [](const Tensor& x, double weight) { return affine(x, static_cast<float>(weight)); };
  loss.total = weighted(loss.l1, weights.l1) + weighted(loss.mse, weights.mse) +
               weighted(loss.gradient, weights.gradient) + weighted(loss.kl, weights.kl);
  return loss;
}

}  // namespace baton
