#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/linear.h"
#include "engine/ops/matrix.h"
#include "kernels/gemm.h"

namespace baton {
namespace {

// x [..., R, C] as [batch, R, C] whose matrices GEMM can read.
Tensor as_batch(const Tensor& x) {
  const int last = x.rank();
  const auto step = merged_step(x, 0, last - 2);
  const int64_t rows = x.dim(-2), columns = x.dim(-1), batch = rows * columns == 0 ? 0 : x.numel() / (rows * columns);
  if (step && is_matrix(x)) return x.alias({batch, rows, columns}, {*step, x.stride()[last - 2], x.stride()[last - 1]});
  return contiguous(x.detach()).alias({batch, rows, columns});
}

// C = op(A) op(B) as the kernel computes it.
struct Product {
  bool transpose_a, transpose_b;
  bool tall;  // one matrix B for every item of A: the rows of all items make one matrix

  Tensor operand_a(const Tensor& x) const { return as_batch(tall ? as_rows(x) : x); }  // also for C
};

// dA = dC B^T and dB = A^T dC, written transposed where A or B was given so. If B has no batch but A has, dB comes with
// one and the tape sums it.
struct MatmulBackward {
  Product product;
  Tensor a, b;  // [batch, rows, columns]
  Shape a_shape, b_shape;
  bool wants_a, wants_b;

  std::vector<Tensor> operator()(std::span<const Tensor> grad_outputs) const {
    const Tensor batch_dc = product.operand_a(cast(grad_outputs[0], a.dtype()));
    const kernels::View dc = batch_dc.view();
    const kernels::View view_a = product.transpose_a ? transposed(a.view()) : a.view();
    const kernels::View view_b = product.transpose_b ? transposed(b.view()) : b.view();
    Tensor da, db;
    if (wants_a) {
      da = Tensor::empty(a_shape, a.dtype());
      const kernels::View target = product.operand_a(da).view();
      if (product.transpose_a)
        kernels::cpu::gemm({.a = view_b, .b = transposed(dc), .c = target});
      else
        kernels::cpu::gemm({.a = dc, .b = transposed(view_b), .c = target});
    }
    if (wants_b) {
      Shape shape = b_shape;
      if (batch_dc.dim(0) != b.dim(0)) shape.insert(shape.begin(), batch_dc.dim(0));
      db = Tensor::empty(std::move(shape), b.dtype());
      const kernels::View target = as_batch(db).view();
      if (product.transpose_b)
        kernels::cpu::gemm({.a = transposed(dc), .b = view_a, .c = target});
      else
        kernels::cpu::gemm({.a = transposed(view_a), .b = dc, .c = target});
    }
    return {da, db};
  }
};

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b, std::optional<DType> out_dtype) {
  require(a.defined() && b.defined() && a.rank() >= 2 && b.rank() >= 2,
          "matmul: both operands need at least two dimensions");
  require((a.dtype() == DType::f32 || a.dtype() == DType::bf16) && a.dtype() == b.dtype(),
          "matmul: {} x {}, both must be f32 or both bf16", name(a.dtype()), name(b.dtype()));
  const int64_t k = a.dim(transpose_a ? -2 : -1), n = b.dim(transpose_b ? -2 : -1);
  require(k == b.dim(transpose_b ? -1 : -2) && k > 0, "matmul: inner sizes differ or are 0: {} x {}", a.shape(),
          b.shape());
  require(
      b.rank() == 2 || Shape(a.shape().begin(), a.shape().end() - 2) == Shape(b.shape().begin(), b.shape().end() - 2),
      "matmul: leading dimensions differ: {} x {}", a.shape(), b.shape());

  Shape shape = a.shape();
  shape.end()[-2] = a.dim(transpose_a ? -1 : -2);
  shape.end()[-1] = n;
  Tensor c = Tensor::empty(std::move(shape), out_dtype.value_or(a.dtype()));
  const Product product{transpose_a, transpose_b, b.rank() == 2 && !transpose_a};
  const Tensor batch_a = product.operand_a(a), batch_b = as_batch(b), batch_c = product.operand_a(c);
  kernels::cpu::gemm({.a = transpose_a ? transposed(batch_a.view()) : batch_a.view(),
                      .b = transpose_b ? transposed(batch_b.view()) : batch_b.view(),
                      .c = batch_c.view()});
  if (!wants_grad({&a, &b})) return c;
  const Tensor inputs[] = {a, b};
  record("matmul", {c}, inputs,
         MatmulBackward{product, batch_a, batch_b, a.shape(), b.shape(), a.requires_grad(), b.requires_grad()});
  return c;
}

}  // namespace baton
