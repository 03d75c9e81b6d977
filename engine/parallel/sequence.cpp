#include "engine/parallel/sequence.h"

#include "engine/autograd/tape.h"
#include "engine/ops/attention.h"
#include "engine/ops/linear.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"
#include "engine/parallel/ring_attention.h"

namespace baton {
namespace {

int64_t share(int64_t total, const Group& group) { return even_parts(total, group.size())[group.rank()]; }

}  // namespace

Sequence::Sequence(const Layout& layout, int64_t total, bool cut) : layout_(layout), cut_(cut), total_(total) {
  in_ring_ = share(total_, ring());
  in_ulysses_ = share(in_ring_, ulysses());
}

int64_t Sequence::size() const { return share(in_ulysses_, megatron()); }

Tensor Sequence::mine(const Tensor& x) const {
  return own_part(own_part(own_part(x, 1, ring()), 1, ulysses()), 1, megatron());
}

Tensor Sequence::whole(const Tensor& x) const {
  return collect(collect(collect(x, 1, in_ulysses_, megatron()), 1, in_ring_, ulysses()), 1, total_, ring());
}

Tensor Sequence::enter(const Tensor& x) const {
  return layout_.sequence_parallel() ? all_gather(x, 1, in_ulysses_, tp()) : copy(x, tp());
}

Tensor Sequence::leave(const Tensor& x) const {
  return layout_.sequence_parallel() ? reduce_scatter(x, 1, tp()) : reduce(x, tp());
}

Tensor Sequence::entered_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  const Tensor inputs[] = {x, weight, bias};
  if (!layout_.sequence_parallel() || !wants_grad(inputs)) return linear(enter(x), weight, bias);
  const auto gathered = [*this](const Tensor& part) { return all_gather(part, 1, in_ulysses_, tp()); };
  Tensor y;
  {
    NoGrad off;
    y = linear(gathered(x.detach()), weight.detach(), bias.detach()).detach();
  }
  const auto rule = [gathered, layout = layout_, x = x.detach(), weight = weight.detach(), bias = bias.defined(),
                     shape = y.shape()](std::span<const Tensor> dy) -> std::vector<Tensor> {
    auto gradients = linear_gradients(gathered(x), weight, bias, dy[0] ? dy[0] : Tensor::zeros(shape, x.dtype()));
    return {reduce_scatter(gradients[0], 1, layout.on(Axis::tp)), gradients[1], gradients[2]};
  };
  record("entered_linear", {y}, inputs, rule);
  return y;
}

Tensor Sequence::entered_rows(const Tensor& table) const { return own_part(own_part(table, 0, ring()), 0, ulysses()); }

Tensor Sequence::attention(const Tensor& q, const Tensor& k, const Tensor& v) const {
  // [B, tokens, heads, d]: tokens for heads, and back
  const auto all_tokens = [&](const Tensor& x) { return trade(x, 2, 1, in_ring_, ulysses()); };
  const Tensor out = ring_attention(all_tokens(q), all_tokens(k), all_tokens(v), total_, ring());
  return trade(out, 1, 2, q.dim(2), ulysses());
}

}  // namespace baton
