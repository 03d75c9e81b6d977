#include "engine/ops/norm.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/norm.h"

namespace baton {
namespace {

using kernels::Norm;

struct Options {
  const char* op;
  Norm kind;
  float eps;
  float scale_offset = 0;
  bool silu = false;
};

bool storable(const Tensor& t) { return t.dtype() == DType::f32 || t.dtype() == DType::bf16; }

void check_normed(const char* op, const Tensor& x) {
  require(x.defined() && x.rank() >= 1 && x.dim(-1) > 0 && storable(x), "{}: x must be f32 or bf16 [..., D]", op);
}

void check_columns(const char* op, const Tensor& columns, const Tensor& x, const Shape& expected) {
  require(!columns || (columns.shape() == expected && storable(columns)),
          "{}: {} {} for x {}, expected {} of f32 or bf16", op, columns ? name(columns.dtype()) : "",
          columns ? columns.shape() : Shape{}, x.shape(), expected);
}

// x seen as [B, T, D] with a contiguous last dimension, without a copy where the strides allow it.
Tensor as_batched_rows(const Tensor& x) {
  const int64_t d = x.dim(-1);
  if (x.rank() == 3 && x.stride()[2] == 1) return x;
  if (x.rank() == 2 && x.stride()[1] == 1) return x.alias({1, x.dim(0), d}, {0, x.stride()[0], 1});
  if (x.rank() == 4 && x.stride()[3] == 1 && x.stride()[0] == x.stride()[1] * x.dim(1))
    return x.alias({x.dim(0) * x.dim(1), x.dim(2), d}, {x.stride()[1], x.stride()[2], 1});
  return contiguous(x).alias({1, x.numel() / d, d});
}

Tensor unit_stride(const Tensor& columns) {
  return !columns || columns.stride().back() == 1 ? columns : contiguous(columns);
}

Tensor normalise(const Options& o, const Tensor& x, const Tensor& scale, const Tensor& shift,
                 std::optional<DType> out) {
  const Tensor rows = as_batched_rows(x).detach(), columns = unit_stride(scale).detach(),
               offsets = unit_stride(shift).detach();
  const Tensor y = Tensor::empty(x.shape(), out.value_or(x.dtype()));
  require(storable(y), "{}: a result of {} is not supported, f32 or bf16 is needed", o.op, name(y.dtype()));
  const bool wanted = wants_grad({&x, &scale, &shift});
  const int64_t count = x.numel() / x.dim(-1);
  const Tensor mean = wanted && o.kind == Norm::layer ? Tensor::empty({count}) : Tensor();
  const Tensor rstd = wanted ? Tensor::empty({count}) : Tensor();
  kernels::cpu::norm({o.kind, o.silu, o.eps, o.scale_offset, rows.view(), columns.view(), offsets.view(), y.view(),
                      mean.view(), rstd.view()});
  if (!wanted) return y;
  const bool needs_x = x.requires_grad(), needs_scale = scale.requires_grad(), needs_shift = shift.requires_grad();
  const Tensor inputs[] = {x, scale, shift};
  record(o.op, {y}, inputs, [=, shape = x.shape()](std::span<const Tensor> gradients) -> std::vector<Tensor> {
    const Tensor dy = contiguous(gradients[0]);
    const Tensor dx = needs_x ? Tensor::empty(shape, rows.dtype()) : Tensor();
    const Tensor dscale = needs_scale ? Tensor::empty(columns.shape()) : Tensor();
    const Tensor dshift = needs_shift ? Tensor::empty(offsets.shape()) : Tensor();
    kernels::cpu::norm_backward({o.kind, o.silu, o.eps, o.scale_offset, dy.view(), rows.view(), columns.view(),
                                 offsets.view(), mean.view(), rstd.view(), dx.view(), dscale.view(), dshift.view()});
    return {dx, dscale, dshift};
  });
  return y;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps, std::optional<DType> out) {
  check_normed("layer_norm", x);
  check_columns("layer_norm", weight, x, {x.dim(-1)});
  check_columns("layer_norm", bias, x, {x.dim(-1)});
  return normalise({"layer_norm", Norm::layer, eps}, x, weight, bias, out);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps, std::optional<DType> out) {
  check_normed("rms_norm", x);
  check_columns("rms_norm", weight, x, {x.dim(-1)});
  return normalise({"rms_norm", Norm::rms, eps}, x, weight, {}, out);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps, const std::function<void(const Tensor&)>& average) {
  check_normed("rms_norm", x);
  check_columns("rms_norm", weight, x, {x.dim(-1)});
  const Tensor rows = as_batched_rows(x).detach(), columns = unit_stride(weight).detach(),
               y = Tensor::empty(x.shape(), x.dtype());
  const Tensor rstd = Tensor::empty({x.numel() / x.dim(-1)});
  const std::span<float> means(rstd.data<float>(), rstd.numel());
  kernels::cpu::norm({Norm::rms, false, 0, 0, rows.view(), {}, {}, {}, {}, rstd.view()});
  for (float& value : means) value = 1 / (value * value);
  average(rstd);
  for (float& value : means) value = 1 / std::sqrt(value + eps);
  kernels::cpu::norm({Norm::rms, false, eps, 0, rows.view(), columns.view(), {}, y.view(), {}, rstd.view(), true});
  if (!wants_grad({&x, &weight})) return y;
  const Tensor inputs[] = {x, weight};
  record("rms_norm", {y}, inputs, [=, shape = x.shape()](std::span<const Tensor> gradients) -> std::vector<Tensor> {
    const Tensor dy = gradients[0] ? contiguous(gradients[0]) : Tensor::zeros(shape, rows.dtype());
    const Tensor dx = Tensor::empty(shape, rows.dtype()), dweight = Tensor::empty(columns.shape()),
                 mean = Tensor::empty(rstd.shape());
    kernels::NormBackwardArgs args{.kind = Norm::rms,
                                   .silu = false,
                                   .eps = eps,
                                   .scale_offset = 0,
                                   .dy = dy.view(),
                                   .x = rows.view(),
                                   .scale = columns.view(),
                                   .rstd = rstd.view(),
                                   .dscale = dweight.view(),
                                   .mean_gu = mean.view()};
    kernels::cpu::norm_backward(args);
    average(mean);
    args.dscale = {};
    args.dx = dx.view();
    args.mean_gu_given = true;
    kernels::cpu::norm_backward(args);
    return {dx, dweight};
  });
  return y;
}

Tensor modulated_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, float eps, std::optional<DType> out) {
  check_normed("modulated_norm", x);
  require(x.rank() == 3 && scale.defined() && shift.defined(),
          "modulated_norm: x {}, expected [B, T, D] with a scale and a shift", x.shape());
  check_columns("modulated_norm", scale, x, {x.dim(0), x.dim(2)});
  check_columns("modulated_norm", shift, x, {x.dim(0), x.dim(2)});
  return normalise({"modulated_norm", Norm::layer, eps, 1}, x, scale, shift, out);
}

Tensor l2_norm(const Tensor& x, const Tensor& weight, bool silu, std::optional<DType> out) {
  check_normed("l2_norm", x);
  check_columns("l2_norm", weight, x, {x.dim(-1)});
  return normalise({"l2_norm", Norm::l2, 1e-12f, 0, silu}, x, weight, {}, out);
}

}  // namespace baton
