#include "engine/parallel/ring_attention.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {
namespace {

// Keys and values of one rank's part, in one message: [2, B, n, H, d].
Tensor pack(const Tensor& k, const Tensor& v) {
  Shape shape = k.shape();
  shape.insert(shape.begin(), 1);
  return concat({reshape(contiguous(k), shape), reshape(contiguous(v), shape)}, 0);
}

Tensor unpack(const Tensor& kv, int64_t index) {
  return kv.alias({kv.shape().begin() + 1, kv.shape().end()}, {kv.stride().begin() + 1, kv.stride().end()},
                  index * kv.stride()[0]);
}

// Blocks that go round the ring: in step s this rank holds the block of rank - s.
class Carousel {
 public:
  Carousel(Group& ring, int64_t tokens, const Tensor& mine)
      : ring_(ring), parts_(even_parts(tokens, ring.size())), block_(mine), owner_(ring.rank()) {}

  const Tensor& block() const { return block_; }

  // Sends the present block on and begins to receive the next; advance() makes that the present one.
  void start() {
    next_owner_ = (owner_ + ring_.size() - 1) % ring_.size();
    Shape shape = block_.shape();
    shape[2] = parts_[next_owner_];
    next_ = Tensor::empty(shape, block_.dtype());
    sent_ = ring_.send(values(block_), (ring_.rank() + 1) % ring_.size());
    received_ = ring_.receive(values(next_), (ring_.rank() + ring_.size() - 1) % ring_.size());
  }
  void advance() {
    received_.wait();
    sent_.wait();
    block_ = next_;
    owner_ = next_owner_;
  }

 private:
  Group& ring_;
  std::vector<int64_t> parts_;
  Tensor block_, next_;
  int owner_, next_owner_ = 0;
  Pending sent_, received_;
};

// whole = the softmax over the keys of both. A query that `part` gives no key keeps what it has.
void merge(AttentionPart& whole, const AttentionPart& part) {
  const int64_t batch = whole.lse.dim(0), heads = whole.lse.dim(1), tokens = whole.lse.dim(2), d = whole.out.dim(3);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t t = 0; t < tokens; ++t) {
        float& lse = whole.lse.data<float>()[(b * heads + h) * tokens + t];
        const float other = part.lse.data<float>()[(b * heads + h) * tokens + t];
        const float greater = std::max(lse, other);
        const float sum = greater + std::log(std::exp(lse - greater) + std::exp(other - greater));
        const float keep = std::exp(lse - sum), add = std::exp(other - sum);
        const int64_t row = ((b * tokens + t) * heads + h) * d;
        float* out = whole.out.data<float>() + row;
        const float* in = part.out.data<float>() + row;
        for (int64_t i = 0; i < d; ++i) out[i] = keep * out[i] + add * in[i];
        lse = sum;
      }
}

bool empty(const Tensor& q, const Tensor& kv) { return q.numel() == 0 || kv.numel() == 0; }

AttentionPart forward(const Tensor& q, const Tensor& k, const Tensor& v, int64_t tokens, Group& ring) {
  AttentionPart whole;
  Carousel keys(ring, tokens, pack(k, v));
  for (int step = 0; step < ring.size(); ++step) {
    const bool last = step + 1 == ring.size();
    if (!last) keys.start();
    if (!empty(q, keys.block())) {
      const AttentionPart part = attention_part(q, unpack(keys.block(), 0), unpack(keys.block(), 1));
      if (whole.out)
        merge(whole, part);
      else
        whole = part;
    }
    if (!last) keys.advance();
  }
  if (!whole.out) whole = {Tensor::zeros(q.shape()), Tensor::zeros({q.dim(0), q.dim(2), q.dim(1)})};
  return whole;
}

void add_into(const Tensor& to, const Tensor& x) {
  float* sum = to.data<float>();
  const float* summand = x.data<float>();
  for (int64_t i = 0; i < x.numel(); ++i) sum[i] += summand[i];
}

std::vector<Tensor> gradients(const std::array<Tensor, 3>& qkv, const AttentionPart& whole, const Tensor& grad_out,
                              int64_t tokens, Group& ring) {
  const auto& [q, k, v] = qkv;
  const Tensor grad_q = Tensor::zeros(q.shape());
  const Tensor mine = pack(k, v);
  Carousel keys(ring, tokens, mine), sums(ring, tokens, Tensor::zeros(mine.shape()));
  for (int step = 0; step < ring.size(); ++step) {
    const bool last = step + 1 == ring.size();
    if (!last) keys.start();
    if (!empty(q, keys.block())) {
      const auto parts = attention_part_gradients(q, unpack(keys.block(), 0), unpack(keys.block(), 1), whole, grad_out);
      add_into(grad_q, parts[0]);
      add_into(unpack(sums.block(), 0), parts[1]);
      add_into(unpack(sums.block(), 1), parts[2]);
    }
    if (!last) keys.advance();
    sums.start();  // the last step takes them home
    sums.advance();
  }
  return {cast(grad_q, q.dtype()), cast(unpack(sums.block(), 0), q.dtype()), cast(unpack(sums.block(), 1), q.dtype())};
}

}  // namespace

Tensor ring_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t tokens, Group& ring) {
  if (ring.size() == 1) return attention(q, k, v);
  require(k.dim(1) == even_parts(tokens, ring.size())[ring.rank()], "ring attention: {} keys of {} on rank {} of {}",
          k.dim(1), tokens, ring.rank(), ring.size());
  const Tensor inputs[] = {q, k, v};
  const bool recorded = wants_grad(inputs);
  AttentionPart whole;
  Tensor out;
  {
    NoGrad off;
    whole = forward(q.detach(), k.detach(), v.detach(), tokens, ring);
    out = cast(whole.out, q.dtype()).detach();
  }
  if (!recorded) return out;
  const std::array<Tensor, 3> kept{contiguous(q.detach()), contiguous(k.detach()), contiguous(v.detach())};
  record("ring_attention", {out}, inputs, [kept, whole, tokens, &ring](std::span<const Tensor> dy) {
    const Tensor grad_out = dy[0] ? contiguous(dy[0]) : Tensor::zeros(kept[0].shape(), kept[0].dtype());
    return gradients(kept, whole, grad_out, tokens, ring);
  });
  return out;
}

}  // namespace baton
