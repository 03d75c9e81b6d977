#pragma once

#include "engine/nn/parameters.h"
#include "engine/ops/linear.h"
#include "engine/parallel/sequence.h"

namespace baton {

// One or several linear maps of the same input, run as one GEMM: y = [x W1^T + b1, x W2^T + b2, …].
class Linear {
 public:
  struct Options {
    bool bias = true;
    std::optional<Init> init;    // default: torch.nn.Linear's uniform(1 / sqrt(in))
    Shape stored_shape;          // of the weight in the file if it is not [out, in], e.g. a convolution kernel
    Shard shard = Shard::whole;  // how the weight lies on the ranks of axis tp
  };

  // Parameters `weight` [out, in] and `bias` [out] of `scope`.
  Linear(const Scope& scope, int64_t in, int64_t out, const Options& options);
  Linear(const Scope& scope, int64_t in, int64_t out) : Linear(scope, in, out, Options{}) {}
  // Parameters `weight` [out, in] and `bias` [out] of scope / names[0], scope / names[1], …
  Linear(const Scope& scope, const std::vector<std::string>& names, int64_t in, int64_t out, const Options& options);

  // x [..., in] f32 or bf16 -> [..., out * number of names] of the same dtype: the GEMM runs in x's dtype. A sharded
  // weight needs the `tokens` of x [B, T, in]: a column layer reads the tokens that enter() gathers and gives this
  // rank's share of the outputs; a row layer reads this rank's share of the inputs, and what the ranks give is summed
  // by leave().
  Tensor operator()(const Tensor& x, Activation activation = Activation::none, const Sequence& tokens = {}) const;
  Tensor operator()(const Tensor& x, const Sequence& tokens) const { return (*this)(x, Activation::none, tokens); }

  // Packs a constant weight for GEMMs in `dtype` now rather than at the first use.
  void prepare(DType dtype) const;

 private:
  Tensor weight_as(DType dtype) const;
  Tensor bias() const;
  Tensor product(const Tensor& x, bool with_bias, Activation activation) const;

  bool trainable_;
  Shard shard_;                          // whole where tp has one rank
  mutable std::vector<Tensor> weights_;  // let go once packed
  std::vector<Tensor> biases_;
  mutable PackedWeight packed_;
  mutable DType packed_dtype_ = DType::f32;
  mutable Tensor packed_bias_;
};

}  // namespace baton
