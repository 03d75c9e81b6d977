#pragma once

#include "engine/plan/dit_model.h"
#include "engine/plan/execution.h"

namespace baton {

constexpr double f32_bytes = 4;  // of a value that is kept or added in f32

// How large the tensors of one micro-batch are on the rank with the largest part of the sequence.
//   Legend: D width, F feed-forward width, H heads, L text tokens; t, u, r sizes of tp, ulysses, ring.
struct DitShares {
  double b;                // samples
  double whole;            // tokens of a sample
  double inside, outside;  // tokens of this rank: between the sharded matrices of a block, and elsewhere
  double D, F, H, L;
  double t, u, r;
  double bytes;  // of a value that products read

  DitShares(const DitModel& model, const Execution& e);
  double residual() const { return b * outside * D; }  // values of a block's input
  double entered() const { return b * inside * D; }    // … as the matrices read it
  double column() const { return entered() / t; }      // … as one of q, k, v holds it
  double hidden() const { return b * inside * F / t; }
};

}  // namespace baton
