#include "kernels/gemm.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "kernels/convert.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/weight_gradient.h"
#include "kernels/elementwise.h"

namespace baton::kernels::cpu {
namespace {

using dnnl::memory;
using GemmKey = onednn::Key<19>;

// The strides of a matrix as oneDNN wants them. Those of dimensions of size 1 are free and may be anything in a View.
struct Matrix {
  int64_t batch, rows, columns;
  int64_t batch_step, row_step, column_step;

  explicit Matrix(const View& view) {
    const int at = view.rank - 2;
    batch = view.rank == 3 ? view.shape[0] : 1;
    rows = view.shape[at], columns = view.shape[at + 1];
    row_step = view.stride[at], column_step = view.stride[at + 1];
    if ((columns == 1 || column_step == 1) && (rows == 1 || row_step >= columns)) {
      column_step = 1;
      if (rows == 1) row_step = columns;
    } else if ((rows == 1 || row_step == 1) && (columns == 1 || column_step >= rows)) {
      row_step = 1;
      if (columns == 1) column_step = rows;
    } else {
      throw std::logic_error("gemm: a matrix has no contiguous dimension");
    }
    batch_step = batch > 1 ? view.stride[0] : rows * columns;
  }
  memory::desc desc(DType dtype, bool batched) const {
    const auto type = onednn::data_type(dtype);
    if (batched) return memory::desc({batch, rows, columns}, type, memory::dims{batch_step, row_step, column_step});
    return memory::desc({rows, columns}, type, memory::dims{row_step, column_step});
  }
};

// b [K, N] blocked as oneDNN likes it for a typical number of rows. Its choice depends on N, K and the processor,
// hardly on M. With AVX2 it likes plain rows; theirs are spread.
memory::desc packed_desc(int64_t k, int64_t n, DType dtype) {
  constexpr int64_t typical_rows = 128;
  thread_local std::unordered_map<onednn::Key<3>, memory::desc, onednn::KeyHash<3>> known;
  const onednn::Key<3> key{{k, n, static_cast<int64_t>(dtype)}};
  if (auto found = known.find(key); found != known.end()) return found->second;
  const auto type = onednn::data_type(dtype);
  const memory::desc a({typical_rows, k}, type, memory::format_tag::ab), b({k, n}, type, memory::format_tag::any);
  const memory::desc c({typical_rows, n}, type, memory::format_tag::ab);
  memory::desc chosen = onednn::describe<dnnl::matmul>(onednn::attributes(), a, b, c).weights_desc();
  if (dtype == DType::f32 && chosen == memory::desc({k, n}, type, memory::format_tag::ab))
    chosen = memory::desc({k, n}, type, memory::dims{onednn::spread_step(n), 1});
  return known[key] = chosen;
}

onednn::Plan make_plan(const GemmArgs& args, const Matrix& a, const Matrix& b, const Matrix& c) {
  const bool batched = args.c.rank == 3;
  dnnl::post_ops operations;
  onednn::append(operations, args.activation);

  const memory::desc a_desc = a.desc(args.a.dtype, batched), c_desc = c.desc(args.c.dtype, batched);
  const memory::desc b_desc =
      args.b_is_packed ? packed_desc(b.rows, b.columns, args.b.dtype) : b.desc(args.b.dtype, batched);
  memory::desc bias_desc;
  if (args.bias) {
    const memory::dims shape = batched ? memory::dims{1, 1, c.columns} : memory::dims{1, c.columns};
    bias_desc = memory::desc(shape, onednn::data_type(args.bias.dtype),
                             batched ? memory::format_tag::abc : memory::format_tag::ab);
  }
  const auto chosen = onednn::describe<dnnl::matmul>(onednn::attributes(operations), a_desc, b_desc, bias_desc, c_desc);
  return onednn::Plan(
      dnnl::matmul(chosen), chosen.scratchpad_desc(),
      {{DNNL_ARG_SRC, a_desc}, {DNNL_ARG_WEIGHTS, b_desc}, {DNNL_ARG_BIAS, bias_desc}, {DNNL_ARG_DST, c_desc}});
}

// A sum over nothing: the weight's gradient where there are no rows.
void set_to_zero(const GemmArgs& args, const Matrix& c) {
  if (args.bias) throw std::logic_error("gemm: a bias added to a product over no columns");
  for (int64_t i = 0; i < c.batch; ++i)
    for (int64_t row = 0; row < c.rows; ++row)
      std::memset(static_cast<char*>(args.c.data) + (i * c.batch_step + row * c.row_step) * size_of(args.c.dtype), 0,
                  c.columns * size_of(args.c.dtype));
}

// The gradient of a linear layer's weight, dW [N, K] = dY^T X, all without gaps.
bool is_weight_gradient(const GemmArgs& args, const Matrix& a, const Matrix& b, const Matrix& c) {
  const bool plain = args.c.rank == 2 && args.c.dtype == DType::f32 && !args.bias &&
                     args.activation == Activation::none && !args.b_is_packed;
  return plain && a.row_step == 1 && a.column_step == a.rows && b.column_step == 1 && b.row_step == b.columns &&
         c.row_step == c.columns;
}

// oneDNN's inner product does it some 5 % faster than its general product where there is AVX-512.
onednn::Plan make_weight_gradient_plan(const GemmArgs& args, const Matrix& a, const Matrix& b) {
  using dnnl::inner_product_backward_weights;
  using dnnl::inner_product_forward;
  const auto type = onednn::data_type(args.a.dtype);
  const memory::dims weight_shape = {a.rows, b.columns};
  const memory::desc dy({a.columns, a.rows}, type, memory::format_tag::ab);
  const memory::desc x({b.rows, b.columns}, type, memory::format_tag::ab);
  const memory::desc dw(weight_shape, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc weight(weight_shape, type, memory::format_tag::any);
  const auto forward =
      onednn::describe<inner_product_forward>(onednn::attributes(), dnnl::prop_kind::forward_training, x, weight, dy);
  const auto chosen = onednn::describe_backward<inner_product_backward_weights>(forward, x, dw, dy);
  return onednn::Plan(
      inner_product_backward_weights(chosen), chosen.scratchpad_desc(),
      {{DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_SRC, x}, {DNNL_ARG_BIAS, memory::desc()}, {DNNL_ARG_DIFF_WEIGHTS, dw}});
}

// bf16 on a processor without bf16 instructions: everything in f32, the result rounded at the end.
void gemm_widened(const GemmArgs& args) {
  GemmArgs wide = args;
  wide.a = onednn::widened(args.a, onednn::first_free_slot);
  if (args.b_is_packed)
    wide.b.dtype = DType::f32;  // pack_b() widened it
  else
    wide.b = onednn::widened(args.b, onednn::first_free_slot + 1);
  if (args.bias) wide.bias = onednn::widened(args.bias, onednn::first_free_slot + 2);
  if (args.c.dtype == DType::bf16) wide.c = onednn::scratch_like(args.c, DType::f32, onednn::first_free_slot + 3);
  gemm(wide);
  if (args.c.dtype == DType::bf16) copy({wide.c, args.c});
}

bool is_vector_with_gaps(const View& view) {
  const int64_t rows = view.shape[view.rank - 2], columns = view.shape[view.rank - 1];
  const int64_t row_step = view.stride[view.rank - 2], column_step = view.stride[view.rank - 1];
  return (rows == 1 && columns > 1 && column_step != 1) || (columns == 1 && rows > 1 && row_step != 1);
}

// The product with copies of the vectors that have gaps.
void gemm_dense(const GemmArgs& args) {
  constexpr int slot = onednn::first_free_slot + 4;
  const auto dense = [](const View& view, int at) { return onednn::scratch_like(view, view.dtype, at); };
  GemmArgs without_gaps = args;
  if (is_vector_with_gaps(args.a)) copy({args.a, without_gaps.a = dense(args.a, slot)});
  if (!args.b_is_packed && is_vector_with_gaps(args.b)) copy({args.b, without_gaps.b = dense(args.b, slot + 1)});
  if (is_vector_with_gaps(args.c)) without_gaps.c = dense(args.c, slot + 2);
  gemm(without_gaps);
  if (is_vector_with_gaps(args.c)) copy({without_gaps.c, args.c});
}

// Plans of oneDNN's products are made for their shapes, strides and types.
void run_product(const GemmArgs& args) {
  const Matrix a(args.a), b(args.b), c(args.c);
  const auto code = [](DType dtype) { return static_cast<int64_t>(dtype); };
  const int64_t flags = static_cast<int64_t>(args.activation) * 2 + args.b_is_packed;
  const GemmKey key{{args.c.rank, a.batch, b.batch, c.batch, c.rows, c.columns, a.columns, a.batch_step, a.row_step,
                     a.column_step, b.batch_step, b.row_step, b.column_step, c.batch_step, c.row_step,
                     code(args.a.dtype), code(args.c.dtype), args.bias ? code(args.bias.dtype) : -1, flags}};
  thread_local onednn::PlanCache<19> plans;
  const auto make = [&] {
    const bool inner = onednn::has_avx512() && is_weight_gradient(args, a, b, c);
    return inner ? make_weight_gradient_plan(args, a, b) : make_plan(args, a, b, c);
  };
  plans.get(key, make).run({args.a.data, args.b.data, args.bias.data, args.c.data});
}

// Our own of an activation, where it has one: with AVX2, oneDNN's take up to 6 ns a value in a product.
std::optional<Unary> own_activation(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return Unary::gelu_tanh;
    case Activation::gelu:
      return Unary::gelu;
    case Activation::quick_gelu:
      return Unary::quick_gelu;
    case Activation::silu:
      return Unary::silu;
    case Activation::relu:
    case Activation::none:
      return {};
  }
  return {};
}

bool is_dense(const Matrix& matrix) {
  return matrix.column_step == 1 && matrix.row_step == matrix.columns &&
         matrix.batch_step == matrix.rows * matrix.columns;
}

}  // namespace

void gemm(const GemmArgs& args) {
  if (args.c.numel() == 0) return;
  if (onednn::vectors_must_be_dense && (is_vector_with_gaps(args.a) || is_vector_with_gaps(args.c) ||
                                        (!args.b_is_packed && is_vector_with_gaps(args.b))))
    return gemm_dense(args);
  const bool any_bf16 =
      args.a.dtype == DType::bf16 || args.c.dtype == DType::bf16 || (args.bias && args.bias.dtype == DType::bf16);
  if (any_bf16 && !onednn::has_bf16()) return gemm_widened(args);

  const Matrix a(args.a), b(args.b), c(args.c);
  if (a.columns == 0) return set_to_zero(args, c);
  if (onednn::has_avx512()) return run_product(args);
  if (is_weight_gradient(args, a, b, c))
    return weight_gradient(args.a.as<float>(), args.b.as<float>(), args.c.as<float>(), a.columns, a.rows, b.columns);
  if (const auto own = own_activation(args.activation); own && is_dense(c)) {
    GemmArgs product = args;
    product.activation = Activation::none;
    run_product(product);
    return unary({*own, 0, 0, args.c, args.c});
  }
  run_product(args);
}

int64_t packed_b_bytes(int64_t k, int64_t n, DType dtype) {
  return static_cast<int64_t>(packed_desc(k, n, onednn::has_bf16() ? dtype : DType::f32).get_size());
}

void pack_b(const View& b, DType dtype, void* packed) {
  View source = b;
  if (!onednn::has_bf16() && dtype == DType::bf16) {  // values rounded to bf16, kept as f32
    if (b.dtype == DType::f32) {
      source = onednn::scratch_like(b, DType::bf16, onednn::first_free_slot + 1);
      copy({b, source});
    }
    source = onednn::widened(source, onednn::first_free_slot);
    dtype = DType::f32;
  }
  const Matrix matrix(source);
  onednn::reorder_plan(matrix.desc(source.dtype, false), packed_desc(matrix.rows, matrix.columns, dtype))
      .run({source.data, packed});
}

}  // namespace baton::kernels::cpu
