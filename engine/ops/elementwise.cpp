#include "engine/ops/elementwise.h"

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/convert.h"
#include "kernels/elementwise.h"

namespace baton {
namespace {

using kernels::Binary;
using kernels::Unary;

void check_floating(const char* op, const Tensor& x) {
  require(x.defined(), "{}: an argument is undefined", op);
  require(x.dtype() == DType::f32 || x.dtype() == DType::bf16, "{}: {} is not supported, f32 or bf16 is needed", op,
          name(x.dtype()));
}

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  const auto size = [&](const Shape& s, size_t i) {
    return i + s.size() < out.size() ? 1 : s[i + s.size() - out.size()];
  };
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t m = size(a, i), n = size(b, i);
    require(m == n || m == 1 || n == 1, "{}: shapes {} and {} do not broadcast", op, a, b);
    out[i] = m == 1 ? n : m;
  }
  return out;
}

Tensor apply(const char* op, Binary kind, const Tensor& a, const Tensor& b) {
  check_floating(op, a);
  check_floating(op, b);
  const bool both_bf16 = a.dtype() == DType::bf16 && b.dtype() == DType::bf16;
  const Tensor out = Tensor::empty(broadcast(op, a.shape(), b.shape()), both_bf16 ? DType::bf16 : DType::f32);
  kernels::cpu::binary({kind, a.view(), b.view(), out.view()});
  return out;
}

Tensor apply(const char* op, Unary kind, const Tensor& input, float a = 0, float b = 0) {
  check_floating(op, input);
  const Tensor x = contiguous(input), y = Tensor::empty(x.shape(), x.dtype());
  kernels::cpu::unary({kind, a, b, x.view(), y.view()});
  if (wants_grad({&x})) {
    record(op, {y}, std::span(&x, 1), [kind, a, b, x = x.detach()](std::span<const Tensor> dy) -> std::vector<Tensor> {
      const Tensor dx = Tensor::empty(x.shape(), x.dtype());
      kernels::cpu::unary_backward({kind, a, b, x.view(), contiguous(dy[0]).view(), dx.view()});
      return {dx};
    });
  }
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  const Tensor out = apply("add", Binary::add, a, b);
  if (wants_grad({&a, &b})) {
    const Tensor inputs[] = {a, b};
    record("add", {out}, inputs, [](std::span<const Tensor> dy) -> std::vector<Tensor> { return {dy[0], dy[0]}; });
  }
  return out;
}

Tensor sub(const Tensor& a, const Tensor& b) {
  const Tensor out = apply("sub", Binary::sub, a, b);
  if (wants_grad({&a, &b})) {
    const Tensor inputs[] = {a, b};
    record("sub", {out}, inputs, [needs_b = b.requires_grad()](std::span<const Tensor> dy) -> std::vector<Tensor> {
      return {dy[0], needs_b ? affine(dy[0], -1) : Tensor()};
    });
  }
  return out;
}

Tensor mul(const Tensor& a, const Tensor& b) {
  const Tensor out = apply("mul", Binary::mul, a, b);
  if (wants_grad({&a, &b})) {
    const Tensor inputs[] = {a, b};
    const Tensor for_a = a.requires_grad() ? b.detach() : Tensor(), for_b = b.requires_grad() ? a.detach() : Tensor();
    record("mul", {out}, inputs, [for_a, for_b](std::span<const Tensor> dy) -> std::vector<Tensor> {
      return {for_a ? mul(dy[0], for_a) : Tensor(), for_b ? mul(dy[0], for_b) : Tensor()};
    });
  }
  return out;
}

Tensor affine(const Tensor& x, float a, float b) {
  check_floating("affine", x);
  const Tensor in = contiguous(x), y = Tensor::empty(x.shape(), x.dtype());
  kernels::cpu::unary({Unary::affine, a, b, in.view(), y.view()});
  if (wants_grad({&x}))
    record("affine", {y}, std::span(&x, 1),
           [a](std::span<const Tensor> dy) -> std::vector<Tensor> { return {affine(dy[0], a)}; });
  return y;
}

Tensor gelu_tanh(const Tensor& x) { return apply("gelu_tanh", Unary::gelu_tanh, x); }
Tensor gelu(const Tensor& x) { return apply("gelu", Unary::gelu, x); }
Tensor quick_gelu(const Tensor& x) { return apply("quick_gelu", Unary::quick_gelu, x); }
Tensor silu(const Tensor& x) { return apply("silu", Unary::silu, x); }
Tensor relu(const Tensor& x) { return apply("relu", Unary::relu, x); }
Tensor exp(const Tensor& x) { return apply("exp", Unary::exp, x); }
Tensor square(const Tensor& x) { return apply("square", Unary::square, x); }
Tensor abs(const Tensor& x) { return apply("abs", Unary::abs, x); }
Tensor rsqrt(const Tensor& x) { return apply("rsqrt", Unary::rsqrt, x); }
Tensor clamp(const Tensor& x, float low, float high) { return apply("clamp", Unary::clamp, x, low, high); }

Tensor gated_add(const Tensor& x, const Tensor& gate, const Tensor& y) {
  for (const Tensor* t : {&x, &gate, &y}) check_floating("gated_add", *t);
  require(x.rank() == 3 && y.shape() == x.shape() && gate.shape() == Shape{x.dim(0), x.dim(2)},
          "gated_add: x {}, gate {}, y {}; expected [B, T, D], [B, D], [B, T, D]", x.shape(), gate.shape(), y.shape());
  const Tensor base = contiguous(x), branch = contiguous(y), rows = gate.stride()[1] == 1 ? gate : contiguous(gate);
  const Tensor out = Tensor::empty(x.shape(), x.dtype());
  kernels::cpu::gated_add({base.view(), rows.view(), branch.view(), out.view()});
  if (wants_grad({&x, &gate, &y})) {
    const Tensor inputs[] = {x, gate, y};
    record("gated_add", {out}, inputs,
           [rows = rows.detach(), branch = branch.detach(), needs_gate = gate.requires_grad(),
            needs_y = y.requires_grad()](std::span<const Tensor> gradients) -> std::vector<Tensor> {
             const Tensor dout = contiguous(gradients[0]);
             const Tensor dgate = needs_gate ? Tensor::empty(rows.shape()) : Tensor();
             const Tensor dy = needs_y ? Tensor::empty(branch.shape(), branch.dtype()) : Tensor();
             kernels::cpu::gated_add_backward({dout.view(), rows.view(), branch.view(), dgate.view(), dy.view()});
             return {gradients[0], dgate, dy};
           });
  }
  return out;
}

Tensor cast(const Tensor& x, DType dtype) {
  check_floating("cast", x);
  require(dtype == DType::f32 || dtype == DType::bf16, "cast: to {} is not supported, f32 or bf16 is needed",
          name(dtype));
  if (x.dtype() == dtype) return x;
  const Tensor y = Tensor::empty(x.shape(), dtype);
  kernels::cpu::copy({x.view(), y.view()});
  if (wants_grad({&x})) {
    record("cast", {y}, std::span(&x, 1),
           [from = x.dtype()](std::span<const Tensor> dy) -> std::vector<Tensor> { return {cast(dy[0], from)}; });
  }
  return y;
}

}  // namespace baton
