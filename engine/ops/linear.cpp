#include "engine/ops/linear.h"

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/matrix.h"
#include "kernels/accumulate.h"
#include "kernels/gemm.h"

namespace baton {
namespace {

bool is_gemm_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

void check_arguments(const Tensor& x, const Shape& weight, DType weight_dtype, const Tensor& bias) {
  require(x.defined() && x.rank() >= 1 && is_gemm_dtype(x.dtype()),
          "linear: x must be f32 or bf16 with at least one dimension");
  require(weight.size() == 2 && weight[1] > 0, "linear: the weight must be [N, K] with K > 0, it is {}", weight);
  require(x.dim(-1) == weight[1], "linear: x {} has {} columns, the weight {} takes {}", x.shape(), x.dim(-1), weight,
          weight[1]);
  require(x.dtype() == weight_dtype, "linear: x is {}, the weight {}; cast one of them", name(x.dtype()),
          name(weight_dtype));
  require(!bias || (bias.shape() == Shape{weight[0]} && is_gemm_dtype(bias.dtype())), "linear: bias {} for a weight {}",
          bias ? bias.shape() : Shape{}, weight);
}

// The bias as GEMM takes it: contiguous, and in f32 beside f32 operands (oneDNN has no f32 product with a bf16 bias).
Tensor bias_for(const Tensor& x, const Tensor& bias) {
  if (!bias) return bias;
  const Tensor values = contiguous(bias.detach());
  return x.dtype() == DType::f32 ? cast(values, DType::f32) : values;
}

// An uninitialised [..., N] for x [..., K].
Tensor like_rows(const Tensor& x, int64_t n, DType dtype) {
  Shape shape = x.shape();
  shape.back() = n;
  return Tensor::empty(std::move(shape), dtype);
}

// The gradients of y = x W^T + b. x or weight is undefined where the gradient that reads it is not wanted.
struct LinearBackward {
  Tensor x, weight;
  Shape x_shape, weight_shape;
  DType dtype;
  bool wants_bias;

  std::vector<Tensor> operator()(std::span<const Tensor> grad_outputs) const {
    const Tensor dy = as_rows(cast(grad_outputs[0], dtype));  // [M, N]
    Tensor dx, dw, db;
    if (weight) {  // dx = dy W
      dx = Tensor::empty(x_shape, dtype);
      kernels::cpu::gemm({.a = dy.view(), .b = weight.view(), .c = as_rows(dx).view()});
    }
    if (x) {  // dW = dy^T x
      dw = Tensor::empty(weight_shape);
      kernels::cpu::gemm({.a = transposed(dy.view()), .b = x.view(), .c = dw.view()});
    }
    if (wants_bias) {
      db = Tensor::empty({weight_shape[0]});
      kernels::cpu::sum_to({.source = dy.view(), .target = db.view()});
    }
    return {dx, dw, db};
  }
};

}  // namespace

std::array<Tensor, 3> linear_gradients(const Tensor& x, const Tensor& weight, bool bias, const Tensor& grad_y) {
  const LinearBackward backward{
      as_rows(contiguous(x.detach())), contiguous(weight.detach()), x.shape(), weight.shape(), x.dtype(), bias};
  const std::vector<Tensor> gradients = backward(std::span(&grad_y, 1));
  return {gradients[0], gradients[1], gradients[2]};
}

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::quick_gelu:
      return quick_gelu(x);
    case Activation::silu:
      return silu(x);
    case Activation::relu:
      return relu(x);
  }
  return x;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  require(weight.defined(), "linear: the weight is undefined");
  check_arguments(x, weight.shape(), weight.dtype(), bias);
  const bool recorded = wants_grad({&x, &weight, &bias});
  const Tensor rows = as_rows(x), matrix = is_matrix(weight) ? weight.detach() : contiguous(weight.detach());
  const Tensor vector = bias_for(x, bias);
  Tensor y = like_rows(x, weight.dim(0), x.dtype());
  kernels::cpu::gemm({.a = rows.view(),
                      .b = transposed(matrix.view()),
                      .bias = vector.view(),
                      .c = as_rows(y).view(),
                      .activation = recorded ? Activation::none : activation});
  if (!recorded) return y;

  const Tensor inputs[] = {x, weight, bias};
  LinearBackward rule{
      .x_shape = x.shape(), .weight_shape = weight.shape(), .dtype = x.dtype(), .wants_bias = bias.requires_grad()};
  if (weight.requires_grad()) rule.x = rows;
  if (x.requires_grad()) rule.weight = matrix;
  record("linear", {y}, inputs, std::move(rule));
  return activate(y, activation);
}

struct PackedWeight::Impl {
  int64_t n, k;
  DType dtype;
  Tensor data;  // bytes
};

PackedWeight::PackedWeight(const Tensor& weight, DType dtype) {
  require(weight.defined() && weight.rank() == 2 && weight.dim(1) > 0,
          "packed weight: the weight must be [N, K] with K > 0");
  require(is_gemm_dtype(dtype) && is_gemm_dtype(weight.dtype()),
          "packed weight: {} to {}, only f32 and bf16 are possible", name(weight.dtype()), name(dtype));
  const int64_t n = weight.dim(0), k = weight.dim(1);
  const Tensor matrix = is_matrix(weight) ? weight : contiguous(weight.detach());
  Tensor data = Tensor::empty({kernels::cpu::packed_b_bytes(k, n, dtype)}, DType::u8);
  kernels::cpu::pack_b(transposed(matrix.view()), dtype, data.raw());
  impl_ = std::make_shared<const Impl>(Impl{n, k, dtype, std::move(data)});
}

int64_t PackedWeight::bytes() const { return impl_ ? impl_->data.bytes() : 0; }

Tensor linear(const Tensor& x, const PackedWeight& weight, const Tensor& bias, Activation activation) {
  require(static_cast<bool>(weight), "linear: the packed weight is empty");
  const PackedWeight::Impl& packed = *weight.impl_;
  check_arguments(x, {packed.n, packed.k}, packed.dtype, bias);
  const kernels::View b{.data = packed.data.raw(),
                        .dtype = packed.dtype,
                        .rank = 2,
                        .shape = {packed.k, packed.n},
                        .stride = {packed.n, 1}};
  const Tensor vector = bias_for(x, bias);
  Tensor y = like_rows(x, packed.n, x.dtype());
  kernels::cpu::gemm({.a = as_rows(x).view(),
                      .b = b,
                      .bias = vector.view(),
                      .c = as_rows(y).view(),
                      .activation = activation,
                      .b_is_packed = true});
  return y;
}

}  // namespace baton
