#include "engine/ops/embedding.h"

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "kernels/embedding.h"

namespace baton {

Tensor embedding(const Tensor& ids, const Tensor& table, std::optional<DType> out) {
  require(ids.dtype() == DType::i32, "embedding: ids are {}, i32 is needed", name(ids.dtype()));
  require(table.rank() == 2 && (table.dtype() == DType::f32 || table.dtype() == DType::bf16),
          "embedding: table {} {}, expected [V, D] of f32 or bf16", name(table.dtype()), table.shape());
  const Tensor flat = contiguous(ids), rows = contiguous(table);
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const int32_t id = flat.data<int32_t>()[i];
    require(id >= 0 && id < rows.dim(0), "embedding: id {} at position {} is outside the table of {} rows", id, i,
            rows.dim(0));
  }
  Shape shape = ids.shape();
  shape.push_back(rows.dim(1));
  const Tensor y = Tensor::empty(std::move(shape), out.value_or(table.dtype()));
  const Tensor list = flat.alias({flat.numel()}).detach();
  kernels::cpu::gather_rows({rows.view(), list.view(), y.alias({list.numel(), rows.dim(1)}).view()});
  if (wants_grad({&table})) {
    record("embedding", {y}, std::span(&table, 1),
           [list, shape = table.shape()](std::span<const Tensor> dy) -> std::vector<Tensor> {
             const Tensor dtable = Tensor::zeros(shape);
             const Tensor source = contiguous(dy[0]).alias({list.numel(), shape[1]});
             kernels::cpu::scatter_add_rows({source.view(), list.view(), dtable.view()});
             return {dtable};
           });
  }
  return y;
}

Tensor timestep_embedding(const Tensor& t, int64_t dim) {
  require(t.rank() == 1 && t.dtype() == DType::f32, "timestep_embedding: t is {} {}, expected [B] f32", name(t.dtype()),
          t.shape());
  require(dim > 0 && dim % 2 == 0, "timestep_embedding: {} components, an even number is needed", dim);
  const int64_t half = dim / 2;
  const Tensor times = contiguous(t), out = Tensor::empty({t.dim(0), dim});
  const float log_period = static_cast<float>(std::log(10000.0));
  for (int64_t i = 0; i < half; ++i) {
    // Rounded to f32 after each step, as PyTorch does it: at t = 1000 the angle is only good to 3e-5.
    const float frequency = std::exp(-log_period * static_cast<float>(i) / static_cast<float>(half));
    for (int64_t b = 0; b < t.dim(0); ++b) {
      const float angle = times.data<float>()[b] * frequency;
      out.data<float>()[b * dim + i] = std::cos(angle);
      out.data<float>()[b * dim + half + i] = std::sin(angle);
    }
  }
  return out;
}

}  // namespace baton
