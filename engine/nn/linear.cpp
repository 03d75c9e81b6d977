#include "engine/nn/linear.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"

namespace baton {

Linear::Linear(const Scope& scope, int64_t in, int64_t out, const Options& options)
    : trainable_(scope.trainable()), shard_(scope.layout().on(Axis::tp).size() > 1 ? options.shard : Shard::whole) {
  const Init uniform = Init::uniform(1 / std::sqrt(static_cast<float>(in)));
  const Shape stored = options.stored_shape.empty() ? Shape{out, in} : options.stored_shape;
  weights_.push_back(scope.parameter("weight", stored, options.init.value_or(uniform), options.shard));
  const Shard bias_shard = options.shard == Shard::column ? Shard::column : Shard::whole;
  if (options.bias)
    biases_.push_back(scope.parameter("bias", {out}, options.init ? Init::constant(0) : uniform, bias_shard));
}

Linear::Linear(const Scope& scope, const std::vector<std::string>& names, int64_t in, int64_t out,
               const Options& options)
    : trainable_(scope.trainable()), shard_(Shard::whole) {
  for (const std::string& name : names) {
    const Linear part(scope / name, in, out, options);
    shard_ = part.shard_;
    weights_.push_back(part.weights_[0]);
    if (options.bias) biases_.push_back(part.biases_[0]);
  }
}

Tensor Linear::weight_as(DType dtype) const {
  std::vector<Tensor> parts;
  for (const Tensor& w : weights_) parts.push_back(cast(reshape(w, {w.dim(0), w.numel() / w.dim(0)}), dtype));
  return parts.size() == 1 ? parts[0] : concat(parts, 0);
}

void Linear::prepare(DType dtype) const {
  if (packed_ && packed_dtype_ == dtype) return;
  require(!weights_.empty(), "linear: the weight was packed as {} and cannot be used as {} any more",
          name(packed_dtype_), name(dtype));
  packed_ = PackedWeight(weight_as(dtype), dtype);
  packed_dtype_ = dtype;
  if (!biases_.empty()) packed_bias_ = cast(bias(), DType::f32);
  weights_.clear();
}

Tensor Linear::bias() const {
  return biases_.empty() ? Tensor() : biases_.size() == 1 ? biases_[0] : concat(biases_, 0);
}

Tensor Linear::product(const Tensor& x, bool with_bias, Activation activation) const {
  if (!trainable_) {
    NoGrad off;
    prepare(x.dtype());
    return linear(x, packed_, with_bias ? packed_bias_ : Tensor(), activation);
  }
  // Not fused even where nothing is recorded, so that a recomputed region gives the same bits both times.
  return activate(linear(x, weight_as(x.dtype()), with_bias ? bias() : Tensor()), activation);
}

Tensor Linear::operator()(const Tensor& x, Activation activation, const Sequence& tokens) const {
  require(shard_ == Shard::whole || tokens.tp().size() > 1, "linear: a sharded weight needs the tokens of its input");
  if (shard_ == Shard::column)
    return trainable_ ? activate(tokens.entered_linear(x, weight_as(x.dtype()), bias()), activation)
                      : product(tokens.enter(x), true, activation);
  if (shard_ == Shard::whole) return product(x, true, activation);
  const Tensor sum = tokens.leave(product(x, false, Activation::none));
  const Tensor bias = trainable_ ? this->bias() : packed_bias_;
  return activate(bias ? cast(sum + bias, x.dtype()) : sum, activation);
}

}  // namespace baton
