#include "engine/parallel/region.h"

#include <numeric>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"

namespace baton {
namespace {

// Plain tensor functions, none recorded.

Tensor summed(const Tensor& x, Group& group) {
  const Tensor sum = concat({x.detach()}, 0);  // a fresh contiguous copy
  group.all_reduce(values(sum)).wait();
  return sum;
}

Tensor my_part(const Tensor& x, int dim, const Group& group) { return contiguous(own_part(x.detach(), dim, group)); }

Shape with_dim(Shape shape, int dim, int64_t size) {
  shape[dim] = size;
  return shape;
}

// Values of each rank's part, when `shape` is cut along `dim`.
std::vector<int64_t> counts_of(const Shape& shape, int dim, const std::vector<int64_t>& parts) {
  std::vector<int64_t> counts;
  for (int64_t part : parts) counts.push_back(numel(with_dim(shape, dim, part)));
  return counts;
}

// Windows on `flat`, one behind the other: the parts of `shape` along `dim`.
std::vector<Tensor> windows(const Tensor& flat, const Shape& shape, int dim, const std::vector<int64_t>& parts) {
  std::vector<Tensor> result;
  int64_t offset = 0;
  for (int64_t part : parts) {
    const Shape one = with_dim(shape, dim, part);
    result.push_back(flat.alias(one, contiguous_stride(one), offset));
    offset += numel(one);
  }
  return result;
}

// The parts of x along `dim` one behind the other in `flat`.
void pack(const Tensor& x, int dim, const std::vector<int64_t>& parts, const Tensor& flat) {
  const std::vector<Tensor> to = windows(flat, x.shape(), dim, parts);
  for (size_t i = 0; i < parts.size(); ++i)
    copy_into(narrow(x.detach(), dim, part_start(parts, static_cast<int>(i)), parts[i]), to[i]);
}

Tensor joined(const Tensor& x, int dim, int64_t total, Group& group) {
  const std::vector<int64_t> parts = even_parts(total, group.size());
  require(x.dim(dim) == parts[group.rank()], "gather in group {}: {} of {} on rank {}, expected {}", group.name(),
          x.dim(dim), total, group.rank(), parts[group.rank()]);
  const Shape whole = with_dim(x.shape(), dim, total);
  const Tensor flat = Tensor::empty({numel(whole)}, x.dtype());
  const Tensor mine = contiguous(x.detach());
  group.all_gather(values(mine), values(flat), counts_of(whole, dim, parts)).wait();
  return dim == 0 ? flat.alias(whole) : concat(windows(flat, whole, dim, parts), dim);
}

Tensor summed_part(const Tensor& x, int dim, Group& group) {
  const std::vector<int64_t> parts = even_parts(x.dim(dim), group.size());
  const Tensor flat = Tensor::empty({x.numel()}, x.dtype());
  const Tensor mine = Tensor::empty(with_dim(x.shape(), dim, parts[group.rank()]), x.dtype());
  pack(x, dim, parts, flat);
  group.reduce_scatter(values(flat), values(mine), counts_of(x.shape(), dim, parts)).wait();
  return mine;
}

// x cut along `from` into a part for each rank -> the ranks' parts joined along `to`, of which they have `parts`.
Tensor exchanged(const Tensor& x, int from, int to, int64_t total, Group& group) {
  const std::vector<int64_t> cut = even_parts(x.dim(from), group.size()), parts = even_parts(total, group.size());
  require(x.dim(to) == parts[group.rank()], "exchange in group {}: {} of {} on rank {}, expected {}", group.name(),
          x.dim(to), total, group.rank(), parts[group.rank()]);
  const Shape received = with_dim(with_dim(x.shape(), from, cut[group.rank()]), to, total);
  const Tensor out = Tensor::empty({x.numel()}, x.dtype()), in = Tensor::empty({numel(received)}, x.dtype());
  pack(x, from, cut, out);
  group.all_to_all(values(out), counts_of(x.shape(), from, cut), values(in), counts_of(received, to, parts)).wait();
  return concat(windows(in, received, to, parts), to);
}

using Function = std::function<Tensor(const Tensor&)>;

// y = forward(x), whose gradient is conjugate(gradient of y).
Tensor apply(const char* name, const Tensor& x, const Function& forward, const Function& conjugate) {
  Tensor y;
  {
    NoGrad off;
    y = forward(x).detach();
  }
  if (!wants_grad({&x})) return y;
  // Where no gradient arrives, others of the group still wait for this rank.
  const auto rule = [conjugate, shape = y.shape(),
                     dtype = y.dtype()](std::span<const Tensor> dy) -> std::vector<Tensor> {
    return {conjugate(dy[0] ? dy[0] : Tensor::zeros(shape, dtype))};
  };
  record(name, {y}, std::span(&x, 1), rule);
  return y;
}

Tensor same(const Tensor& x) { return x; }

}  // namespace

std::vector<int64_t> even_parts(int64_t total, int ranks) {
  std::vector<int64_t> parts;
  for (int i = 0; i < ranks; ++i) parts.push_back(total * (i + 1) / ranks - total * i / ranks);
  return parts;
}

int64_t part_start(const std::vector<int64_t>& parts, int rank) {
  return std::accumulate(parts.begin(), parts.begin() + rank, int64_t{0});
}

Tensor own_part(const Tensor& x, int dim, const Group& group) {
  if (group.size() == 1) return x;
  const std::vector<int64_t> parts = even_parts(x.dim(dim), group.size());
  return narrow(x, dim, part_start(parts, group.rank()), parts[group.rank()]);
}

Tensor copy(const Tensor& x, Group& group) {
  if (group.size() == 1) return x;
  return apply("copy", x, same, [&group](const Tensor& g) { return summed(g, group); });
}

Tensor reduce(const Tensor& x, Group& group) {
  if (group.size() == 1) return x;
  return apply(
      "reduce", x, [&](const Tensor& v) { return summed(v, group); }, same);
}

Tensor scatter(const Tensor& x, int dim, Group& group) {
  if (group.size() == 1) return x;
  const int64_t total = x.dim(dim);
  return apply(
      "scatter", x, [&](const Tensor& v) { return my_part(v, dim, group); },
      [&group, dim, total](const Tensor& g) { return joined(g, dim, total, group); });
}

Tensor collect(const Tensor& x, int dim, int64_t total, Group& group) {
  if (group.size() == 1) return x;
  return apply(
      "collect", x, [&](const Tensor& v) { return joined(v, dim, total, group); },
      [&group, dim](const Tensor& g) { return my_part(g, dim, group); });
}

Tensor all_gather(const Tensor& x, int dim, int64_t total, Group& group) {
  if (group.size() == 1) return x;
  return apply(
      "all_gather", x, [&](const Tensor& v) { return joined(v, dim, total, group); },
      [&group, dim](const Tensor& g) { return summed_part(g, dim, group); });
}

Tensor reduce_scatter(const Tensor& x, int dim, Group& group) {
  if (group.size() == 1) return x;
  const int64_t total = x.dim(dim);
  return apply(
      "reduce_scatter", x, [&](const Tensor& v) { return summed_part(v, dim, group); },
      [&group, dim, total](const Tensor& g) { return joined(g, dim, total, group); });
}

Tensor trade(const Tensor& x, int from, int to, int64_t total, Group& group) {
  if (group.size() == 1) return x;
  const int64_t before = x.dim(from);
  return apply(
      "trade", x, [&](const Tensor& v) { return exchanged(v, from, to, total, group); },
      [&group, from, to, before](const Tensor& g) { return exchanged(g, to, from, before, group); });
}

}  // namespace baton
