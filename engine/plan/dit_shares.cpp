#include "engine/plan/dit_shares.h"

#include <cmath>

namespace baton {

DitShares::DitShares(const DitModel& m, const Execution& e)
    : b(static_cast<double>(e.micro_batch)),
      whole(static_cast<double>(m.tokens)),
      D(static_cast<double>(m.transformer.inner_dim())),
      F(static_cast<double>(m.transformer.ffn_dim)),
      H(static_cast<double>(m.transformer.num_attention_heads)),
      L(static_cast<double>(m.text_tokens)),
      t(e.size(Axis::tp)),
      u(e.size(Axis::ulysses)),
      r(e.size(Axis::ring)),
      bytes(m.bytes()) {
  inside = std::ceil(std::ceil(whole / r) / u);
  outside = e.sequence_parallel ? std::ceil(inside / t) : inside;
}

}  // namespace baton
