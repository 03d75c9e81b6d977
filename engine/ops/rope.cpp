#include "engine/ops/rope.h"

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/rope.h"

namespace baton {
namespace {

Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin, DType out, bool inverse) {
  const Tensor rows = x.stride()[3] == 1 ? x : contiguous(x), y = Tensor::empty(x.shape(), out);
  kernels::cpu::rope({rows.view(), cos.view(), sin.view(), y.view(), inverse});
  return y;
}

}  // namespace

Tensor rope(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  require(x.rank() == 4 && x.dim(3) % 2 == 0 && (x.dtype() == DType::f32 || x.dtype() == DType::bf16),
          "rope: x is {} {}, expected [B, T, H, D] of f32 or bf16 with an even D", name(x.dtype()), x.shape());
  const Shape table{x.dim(1), x.dim(3) / 2};
  require(cos.shape() == table && sin.shape() == table && cos.dtype() == DType::f32 && sin.dtype() == DType::f32,
          "rope: cos {} and sin {}, expected f32 {} for x {}", cos.shape(), sin.shape(), table, x.shape());
  const Tensor c = contiguous(cos).detach(), s = contiguous(sin).detach();
  const Tensor y = rotate(x, c, s, x.dtype(), false);
  if (wants_grad({&x})) {
    record("rope", {y}, std::span(&x, 1), [c, s](std::span<const Tensor> dy) -> std::vector<Tensor> {
      return {rotate(dy[0], c, s, dy[0].dtype(), true)};
    });
  }
  return y;
}

}  // namespace baton
