#include "engine/diffusion/objective.h"

#include <vector>

#include "engine/core/require.h"
#include "engine/diffusion/combine.h"
#include "engine/ops/reduce.h"

namespace baton {

Tensor noised(const Tensor& image, const Tensor& noise, std::span<const double> t) {
  require(image.rank() >= 1 && image.shape() == noise.shape() && image.dim(0) == static_cast<int64_t>(t.size()),
          "noised: images {}, noise {} and {} noise levels do not fit", image.shape(), noise.shape(), t.size());
  require(image.is_contiguous() && noise.is_contiguous(), "noised: images and noise must be contiguous");
  Tensor result = Tensor::empty(image.shape());
  const int64_t size = t.empty() ? 0 : image.numel() / image.dim(0);
  const float *clean = image.data<float>(), *random = noise.data<float>();
  float* out = result.data<float>();
  for (size_t b = 0; b < t.size(); ++b)
    for (int64_t i = 0; i < size; ++i) {
      const int64_t at = static_cast<int64_t>(b) * size + i;
      out[at] = static_cast<float>((1 - t[b]) * clean[at] + t[b] * random[at]);
    }
  return result;
}

Tensor noised(const Tensor& image, const Tensor& noise, double t) { return combine({{1 - t, image}, {t, noise}}); }

Tensor flow_target(const Tensor& image, const Tensor& noise) { return combine({{1, noise}, {-1, image}}); }

Tensor flow_loss(const Tensor& prediction, const Tensor& target) { return squared_error_per_item(prediction, target); }

}  // namespace baton
