#include "engine/diffusion/combine.h"

#include "engine/core/require.h"

namespace baton {

Tensor combine(const std::vector<Term>& terms) {
  const Shape& shape = terms.front().latents.shape();
  std::vector<const float*> values;
  for (const Term& term : terms) {
    require(term.latents.is_contiguous() && term.latents.shape() == shape,
            "latents: shapes {} and {} do not fit, or are not contiguous", shape, term.latents.shape());
    values.push_back(term.latents.data<float>());
  }
  Tensor result = Tensor::empty(shape);
  float* out = result.data<float>();
  const int64_t n = result.numel();
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (size_t k = 0; k < terms.size(); ++k) sum += terms[k].weight * values[k][i];
    out[i] = static_cast<float>(sum);
  }
  return result;
}

}  // namespace baton
