#pragma once

#include "engine/nn/parameters.h"
#include "engine/ops/conv.h"

namespace baton {

// A convolution over one channels-last frame. A kernel with a temporal extent (AutoencoderKLWan's causal convolutions)
// works through its last temporal slice, since the frames before the first count as zeros.
class Conv {
 public:
  struct Options {
    int64_t frames = 0;  // temporal extent of the stored kernel [O, I, frames, k, k]; 0: stored as [O, I, k, k]
    int stride = 1;
    Padding padding;
  };
  // Parameters `weight` and `bias` [out] of `scope`; kernel k x k.
  Conv(const Scope& scope, int64_t in, int64_t out, int64_t kernel, const Options& options);

  Tensor operator()(const Tensor& x) const;  // [B, H, W, in] -> [B, H', W', out], in x's dtype

 private:
  Tensor weight_as(DType dtype) const;

  Options options_;
  bool trainable_;
  Tensor weight_, bias_;
  mutable Tensor constant_weight_, constant_bias_;  // of a model that is not trained: weight_as(...), and f32
};

}  // namespace baton
