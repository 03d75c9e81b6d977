#pragma once

#include "engine/nn/parameters.h"
#include "engine/ops/linear.h"

namespace baton {

// One or several linear maps of the same input, run as one GEMM: y = [x W1^T + b1, x W2^T + b2, …].
class Linear {
 public:
  struct Options {
    bool bias = true;
    std::optional<Init> init;  // default: torch.nn.Linear's uniform(1 / sqrt(in))
    Shape stored_shape;        // of the weight in the file if it is not [out, in], e.g. a convolution kernel
  };

  // Parameters `weight` [out, in] and `bias` [out] of `scope`.
  Linear(const Scope& scope, int64_t in, int64_t out, const Options& options);
  Linear(const Scope& scope, int64_t in, int64_t out) : Linear(scope, in, out, Options{}) {}
  // Parameters `weight` [out, in] and `bias` [out] of scope / names[0], scope / names[1], …
  Linear(const Scope& scope, const std::vector<std::string>& names, int64_t in, int64_t out, const Options& options);

  // x [..., in] f32 or bf16 -> [..., out * number of names] of the same dtype: the GEMM runs in x's dtype.
  Tensor operator()(const Tensor& x, Activation activation = Activation::none) const;

  // Packs a constant weight for GEMMs in `dtype` now rather than at the first use.
  void prepare(DType dtype) const;

 private:
  Tensor weight_as(DType dtype) const;

  bool trainable_;
  mutable std::vector<Tensor> weights_;  // let go once packed
  std::vector<Tensor> biases_;
  mutable PackedWeight packed_;
  mutable DType packed_dtype_ = DType::f32;
  mutable Tensor packed_bias_;
};

}  // namespace baton
