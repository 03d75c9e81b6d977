#pragma once

#include "engine/parallel/layout.h"
#include "engine/tensor/tensor.h"

namespace baton {

// How the tokens of a sequence lie on the ranks, and what that asks of the layers: model code calls these by what they
// mean, and on one rank all of them return what they are given. The sequence is cut into even_parts() over ring, each
// over ulysses, and between sharded matrices each over tp (sequence parallelism). Sequence are dimension 1.
class Sequence {
 public:
  Sequence() = default;  // one rank
  // `total` tokens of a picture.
  Sequence(const Layout& layout, int64_t total) : Sequence(layout, total, true) {}
  // Of a text, which every picture token reads: not cut over ring and ulysses.
  static Sequence of_text(const Layout& layout, int64_t total) { return {layout, total, false}; }

  Group& tp() const { return layout_.on(Axis::tp); }
  int64_t size() const;  // tokens of mine()

  // From the whole sequence to this rank's, and back. The gradient of mine() is this rank's share: zero elsewhere.
  Tensor mine(const Tensor& x) const;
  Tensor whole(const Tensor& x) const;
  // Around matrices sharded over tp: what the first reads, and the sum of what the last gives.
  Tensor enter(const Tensor& x) const;
  Tensor leave(const Tensor& x) const;
  // linear(enter(x), …) of this rank's rows of a matrix. Under sequence parallelism the gathered x is not kept for the
  // backward pass but gathered again (Korthikanti et al. 2022, section 4.2.2).
  Tensor entered_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const;
  // Rows [T, …] of a table for the tokens that enter() leaves on this rank.
  Tensor entered_rows(const Tensor& table) const;
  // softmax(q k^T / sqrt d) v over the whole sequence, for q, k, v [B, entered tokens, H, d] (Ulysses, then ring).
  Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v) const;

 private:
  Sequence(const Layout& layout, int64_t total, bool cut);
  Group& ring() const { return cut_ ? layout_.on(Axis::ring) : alone(); }
  Group& ulysses() const { return cut_ ? layout_.on(Axis::ulysses) : alone(); }
  Group& megatron() const { return layout_.sequence_parallel() ? tp() : alone(); }

  Layout layout_;
  bool cut_ = false;
  int64_t total_ = 0, in_ring_ = 0, in_ulysses_ = 0;  // tokens: all, of this rank's ring part, of its ulysses part
};

}  // namespace baton
