#include <algorithm>
#include <cmath>
#include <map>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/linear.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"
#include "engine/train/optimizer.h"
#include "engine/train/optimizer_parts.h"
#include "kernels/optimizer.h"

namespace baton {
namespace {

// x += value on the diagonal of each matrix of x [n, m, m].
void add_to_diagonal(const Tensor& x, float value) {
  const int64_t n = x.dim(0), m = x.dim(1);
  for (int64_t i = 0; i < n * m; ++i) {
    const int64_t at = i * m + i % m;
    if (x.dtype() == DType::bf16) {
      uint16_t& bits = x.data<uint16_t>()[at];
      bits = f32_to_bf16(bf16_to_f32(bits) + value);
    } else {
      x.data<float>()[at] += value;
    }
  }
}

// 1 / |x[i]| of each matrix, [n, 1, 1].
Tensor inverse_norms(const Tensor& x) {
  const int64_t n = x.dim(0);
  const Tensor inverse = Tensor::empty({n, 1, 1});
  for (int64_t i = 0; i < n; ++i) {
    const double square = kernels::cpu::sum_of_squares(narrow(x, 0, i, 1).view());
    inverse.data<float>()[i] = static_cast<float>(1 / std::max(std::sqrt(square), 1e-7));
  }
  return inverse;
}

}  // namespace

Tensor orthogonalize(const Tensor& matrices, DType compute) {
  require(matrices.rank() == 3, "orthogonalize: {} is no batch of matrices", matrices.shape());
  NoGrad off;
  constexpr int iterations = 5;
  constexpr float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  const bool tall = matrices.dim(1) > matrices.dim(2);  // then s = x^T x, which is smaller, on the right
  Tensor x = cast(matrices * inverse_norms(matrices), compute);
  for (int i = 0; i < iterations; ++i) {
    const Tensor s = matmul(x, x, tall, !tall);
    const Tensor inner = affine(s, c);  // a + s (b + c s)
    add_to_diagonal(inner, b);
    const Tensor polynomial = matmul(s, inner);
    add_to_diagonal(polynomial, a);
    x = tall ? matmul(x, polynomial) : matmul(polynomial, x);
  }
  return x;
}

Muon::Muon(Averaged matrices, const MuonConfig& config, DType compute, Group& tp)
    : config_(config),
      compute_(compute),
      tp_(tp),
      targets_(std::move(matrices)),
      momentum_(zeros_like(targets_.parameters)) {
  // Enough for all cores, and the working set stays in the cache.
  const size_t together = 8 * static_cast<size_t>(tp.size());
  std::map<std::pair<Shape, Shard>, std::vector<size_t>> alike;
  for (size_t i = 0; i < momentum_.size(); ++i)
    alike[{momentum_[i].shape(), tp.size() > 1 ? targets_.parameters[i].shard : Shard::whole}].push_back(i);
  for (const auto& [shape, members] : alike)
    for (size_t first = 0; first < members.size(); first += together)
      groups_.emplace_back(members.begin() + first, members.begin() + std::min(first + together, members.size()));
}

void Muon::step(const UpdateStep& step) {
  for (const auto& group : groups_) {
    std::vector<size_t> reached;
    for (size_t i : group)
      if (targets_.parameters[i].value.grad()) reached.push_back(i);
    if (!reached.empty()) update(reached, step);
  }
}

void Muon::update(const std::vector<size_t>& group, const UpdateStep& step) {
  const int64_t rows = momentum_[group[0]].dim(0), columns = momentum_[group[0]].dim(1);
  const auto matrix = [&](const Tensor& all, size_t k) {
    return all.alias({rows, columns}, {columns, 1}, static_cast<int64_t>(k) * rows * columns).view();
  };
  const Tensor update = Tensor::empty({static_cast<int64_t>(group.size()), rows, columns});
  for (size_t k = 0; k < group.size(); ++k) {
    const Tensor gradient = targets_.parameters[group[k]].value.grad();
    kernels::cpu::momentum({.gradient = gradient.view(),
                            .buffer = momentum_[group[k]].view(),
                            .update = matrix(update, k),
                            .momentum = config_.momentum,
                            .nesterov = true,
                            .gradient_scale = step.gradient_scale});
  }
  const Shard shard = tp_.size() > 1 ? targets_.parameters[group[0]].shard : Shard::whole;
  const int dim = shard == Shard::column ? 1 : 2;  // of [matrices, rows, columns]
  Tensor whole = update;  // of shares of all matrices, some matrices whole: each rank works on its own
  if (shard != Shard::whole) whole = trade(update, 0, dim, update.dim(dim) * tp_.size(), tp_);
  const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(whole.dim(1), whole.dim(2))));
  Tensor orthogonal = whole.dim(0) > 0 ? orthogonalize(whole, compute_) : cast(whole, compute_);
  if (shard != Shard::whole) orthogonal = trade(orthogonal, dim, 0, update.dim(0), tp_);
  for (size_t k = 0; k < group.size(); ++k)
    kernels::cpu::apply_update({.parameter = targets_.parameters[group[k]].value.view(),
                                .update = matrix(orthogonal, k),
                                .step_size = step.lr * scale,
                                .decay = step.lr * config_.weight_decay,
                                .average = average_of(targets_, group[k]),
                                .average_weight = step.average_weight});
}

Parameters Muon::state() const {
  Parameters state;
  name_state(state, "momentum", targets_.parameters, momentum_);
  return state;
}

}  // namespace baton
