#include "engine/ops/reduce.h"

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "kernels/accumulate.h"
#include "kernels/reduce.h"

namespace baton {
namespace {

void check_floats(const char* op, const Tensor& x) {
  require(x.defined() && (x.dtype() == DType::f32 || x.dtype() == DType::bf16), "{}: f32 or bf16 is needed", op);
}

// scale * sum over the dimensions where `kept` (of x's rank) is 1 and x is not, in the shape `out`.
Tensor scaled_sum(const char* op, const Tensor& x, const Shape& kept, const Shape& out, float scale) {
  check_floats(op, x);
  const Tensor sums = Tensor::empty(kept);
  kernels::cpu::sum_to({x.view(), sums.view(), false, scale});
  const Tensor y = sums.alias(out);
  if (wants_grad({&x})) {
    record(op, {y}, std::span(&x, 1),
           [shape = x.shape(), kept, scale](std::span<const Tensor> dy) -> std::vector<Tensor> {
             return {expand(reshape(affine(dy[0], scale), kept), shape)};
           });
  }
  return y;
}

float one_over(int64_t count) { return 1 / static_cast<float>(count); }

Tensor by_item(const Tensor& x) { return contiguous(x).alias({x.dim(0), x.numel() / std::max<int64_t>(1, x.dim(0))}); }

}  // namespace

Tensor sum(const Tensor& x) { return scaled_sum("sum", x, Shape(x.rank(), 1), {}, 1); }

Tensor mean(const Tensor& x) { return scaled_sum("mean", x, Shape(x.rank(), 1), {}, one_over(x.numel())); }

Tensor mean_per_item(const Tensor& x) {
  require(x.rank() >= 1, "mean_per_item: a single value has no items");
  Shape kept(x.rank(), 1);
  kept[0] = x.dim(0);
  return scaled_sum("mean_per_item", x, kept, {x.dim(0)}, one_over(x.numel() / std::max<int64_t>(1, x.dim(0))));
}

Tensor mean_dim(const Tensor& x, int dim) {
  require(dim >= -x.rank() && dim < x.rank(), "mean_dim: dimension {} of shape {}", dim, x.shape());
  if (dim < 0) dim += x.rank();
  Shape kept = x.shape(), out = x.shape();
  kept[dim] = 1;
  out.erase(out.begin() + dim);
  return scaled_sum("mean_dim", x, kept, out, one_over(x.dim(dim)));
}

Tensor squared_error_per_item(const Tensor& x, const Tensor& target) {
  check_floats("squared_error_per_item", x);
  check_floats("squared_error_per_item", target);
  require(x.rank() >= 1 && x.shape() == target.shape(), "squared_error_per_item: {} against {}", x.shape(),
          target.shape());
  const Tensor a = by_item(x).detach(), b = by_item(target).detach(), out = Tensor::empty({x.dim(0)});
  kernels::cpu::squared_error({a.view(), b.view(), out.view()});
  if (wants_grad({&x})) {
    record("squared_error_per_item", {out}, std::span(&x, 1),
           [a, b, shape = x.shape()](std::span<const Tensor> dy) -> std::vector<Tensor> {
             const Tensor dx = Tensor::empty(shape, a.dtype()), dout = contiguous(dy[0]);
             kernels::cpu::squared_error_backward({a.view(), b.view(), dout.view(), dx.view()});
             return {dx};
           });
  }
  return out;
}

bool all_finite(const Tensor& x) {
  check_floats("all_finite", x);
  const NoGrad off;
  return kernels::cpu::all_finite(contiguous(x).view());
}

}  // namespace baton
