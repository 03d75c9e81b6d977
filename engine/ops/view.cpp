#include "engine/ops/view.h"

#include <algorithm>
#include <numeric>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/embedding.h"
#include "kernels/convert.h"

namespace baton {
namespace {

int checked_dim(const char* op, const Tensor& x, int dim) {
  require(dim >= -x.rank() && dim < x.rank(), "{}: dimension {} of a tensor of shape {}", op, dim, x.shape());
  return dim < 0 ? dim + x.rank() : dim;
}

Shape inferred(const Tensor& x, Shape shape) {
  const auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (unknown != shape.end()) {
    const int64_t others = -numel(shape);
    require(others > 0 && x.numel() % others == 0, "reshape: {} cannot become {}", x.shape(), shape);
    *unknown = x.numel() / others;
  }
  require(numel(shape) == x.numel() && std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 0; }),
          "reshape: {} cannot become {}", x.shape(), shape);
  return shape;
}

// Strides that show x's memory in another shape, or nothing if it must be copied. Each run of x's dimensions that lie
// behind one another in memory may be cut anew.
std::optional<Shape> window_stride(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous() || x.numel() == 0) return contiguous_stride(shape);
  Shape stride(shape.size(), 1);
  int to = static_cast<int>(shape.size()) - 1;
  for (int from = x.rank() - 1; from >= 0;) {
    int64_t step = x.stride()[from], length = x.dim(from--), filled = 1;
    for (; from >= 0 && (x.dim(from) == 1 || length == 1 || x.stride()[from] == step * length); --from) {
      if (length == 1) step = x.stride()[from];
      length *= x.dim(from);
    }
    for (; to >= 0 && filled * shape[to] <= length && (filled < length || shape[to] == 1); --to) {
      stride[to] = step * filled;
      filled *= shape[to];
    }
    if (filled != length) return std::nullopt;
  }
  return stride;
}

Tensor window(const Tensor& x, int dim, int64_t start, int64_t length) {
  Shape shape = x.shape();
  shape[dim] = length;
  return x.alias(std::move(shape), x.stride(), start * x.stride()[dim]);
}

Tensor permuted(const Tensor& x, const std::vector<int>& order) {
  Shape shape, stride;
  for (int d : order) {
    shape.push_back(x.dim(d));
    stride.push_back(x.stride()[d]);
  }
  const Tensor out = Tensor::empty(shape, x.dtype());
  copy_into(x.alias(shape, stride), out);
  return out;
}

}  // namespace

void copy_into(const Tensor& source, const Tensor& target) { kernels::cpu::copy({source.view(), target.view()}); }

Tensor reshape(const Tensor& x, Shape wanted) {
  const Shape shape = inferred(x, std::move(wanted));
  const std::optional<Shape> stride = window_stride(x, shape);
  if (!stride) return reshape(contiguous(x), shape);
  const Tensor y = x.alias(shape, *stride);
  if (wants_grad({&x}))
    record("reshape", {y}, std::span(&x, 1),
           [shape = x.shape()](std::span<const Tensor> dy) -> std::vector<Tensor> { return {reshape(dy[0], shape)}; });
  return y;
}

Tensor contiguous(const Tensor& x) {
  if (!x.defined() || x.is_contiguous()) return x;
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  copy_into(x, y);
  if (wants_grad({&x}))
    record("contiguous", {y}, std::span(&x, 1),
           [](std::span<const Tensor> dy) -> std::vector<Tensor> { return {dy[0]}; });
  return y;
}

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  std::vector<int> inverse(order.size(), -1);
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] >= 0 && order[i] < x.rank()) inverse[order[i]] = static_cast<int>(i);
  require(static_cast<int>(order.size()) == x.rank() && std::find(inverse.begin(), inverse.end(), -1) == inverse.end(),
          "permute: order {} for a tensor of shape {}", order, x.shape());
  const Tensor y = permuted(x, order);
  if (wants_grad({&x}))
    record("permute", {y}, std::span(&x, 1),
           [inverse](std::span<const Tensor> dy) -> std::vector<Tensor> { return {permuted(dy[0], inverse)}; });
  return y;
}

Tensor narrow(const Tensor& x, int dim, int64_t start, int64_t length) {
  dim = checked_dim("narrow", x, dim);
  require(start >= 0 && length >= 0 && start + length <= x.dim(dim), "narrow: {} + {} along dimension {} of shape {}",
          start, length, dim, x.shape());
  const Tensor y = window(x, dim, start, length);
  if (wants_grad({&x})) {
    record("narrow", {y}, std::span(&x, 1),
           [shape = x.shape(), dim, start, length](std::span<const Tensor> dy) -> std::vector<Tensor> {
             const Tensor dx = Tensor::zeros(shape, dy[0].dtype());
             copy_into(dy[0], window(dx, dim, start, length));
             return {dx};
           });
  }
  return y;
}

Tensor expand(const Tensor& x, Shape shape) {
  const int added = static_cast<int>(shape.size()) - x.rank();
  require(added >= 0, "expand: {} to {}", x.shape(), shape);
  Shape stride(shape.size(), 0);
  for (int i = 0; i < x.rank(); ++i) {
    require(x.dim(i) == 1 || x.dim(i) == shape[added + i], "expand: {} to {}", x.shape(), shape);
    if (x.dim(i) == shape[added + i]) stride[added + i] = x.stride()[i];
  }
  const Tensor y = x.alias(std::move(shape), std::move(stride));
  if (wants_grad({&x}))  // the tape sums the gradient down to x's shape
    record("expand", {y}, std::span(&x, 1), [](std::span<const Tensor> dy) -> std::vector<Tensor> { return {dy[0]}; });
  return y;
}

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  require(!parts.empty(), "concat: no tensors");
  dim = checked_dim("concat", parts[0], dim);
  Shape shape = parts[0].shape();
  std::vector<int64_t> sizes;
  for (const Tensor& part : parts) {
    Shape same = part.shape();
    if (part.rank() == parts[0].rank()) same[dim] = parts[0].dim(dim);
    require(same == parts[0].shape() && part.dtype() == parts[0].dtype(),
            "concat: {} {} after {} {} along dimension {}", name(part.dtype()), part.shape(), name(parts[0].dtype()),
            parts[0].shape(), dim);
    sizes.push_back(part.dim(dim));
  }
  shape[dim] = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const Tensor y = Tensor::empty(std::move(shape), parts[0].dtype());
  int64_t start = 0;
  for (size_t i = 0; i < parts.size(); start += sizes[i++]) copy_into(parts[i], window(y, dim, start, sizes[i]));
  if (wants_grad(parts)) {
    record("concat", {y}, parts, [sizes, dim](std::span<const Tensor> dy) {
      std::vector<Tensor> gradients;
      int64_t at = 0;
      for (int64_t size : sizes) {
        gradients.push_back(window(dy[0], dim, at, size));
        at += size;
      }
      return gradients;
    });
  }
  return y;
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int dim) {
  dim = checked_dim("split", x, dim);
  require(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == x.dim(dim) &&
              std::all_of(sizes.begin(), sizes.end(), [](int64_t s) { return s >= 0; }),
          "split: sizes {} of dimension {} of shape {}", sizes, dim, x.shape());
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(window(x, dim, start, size));
    start += size;
  }
  if (wants_grad({&x})) {
    record("split", parts, std::span(&x, 1),
           [shape = x.shape(), sizes, dim](std::span<const Tensor> gradients) -> std::vector<Tensor> {
             const auto defined = [](const Tensor& g) { return g.defined(); };
             const bool all = std::all_of(gradients.begin(), gradients.end(), defined);
             const bool f32 = std::any_of(gradients.begin(), gradients.end(),
                                          [](const Tensor& g) { return g && g.dtype() == DType::f32; });
             const DType dtype = f32 ? DType::f32 : DType::bf16;
             const Tensor dx = all ? Tensor::empty(shape, dtype) : Tensor::zeros(shape, dtype);
             int64_t at = 0;
             for (size_t i = 0; i < sizes.size(); at += sizes[i++])
               if (gradients[i]) copy_into(gradients[i], window(dx, dim, at, sizes[i]));
             return {dx};
           });
  }
  return parts;
}

Tensor gather_rows(const Tensor& x, const Tensor& index) {
  require(x.rank() >= 1 && index.rank() == 1, "gather_rows: rows {} of a tensor of shape {}", index.shape(), x.shape());
  Shape shape = x.shape();
  const int64_t row = x.numel() / std::max<int64_t>(1, x.dim(0));
  shape[0] = index.dim(0);
  return reshape(embedding(index, reshape(x, {x.dim(0), row})), std::move(shape));
}

}  // namespace baton
