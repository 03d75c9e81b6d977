#pragma once

namespace baton {

// What is known about sizes before anything is planned.

// Bytes of training state in mixed precision: weight 2, gradient 2, master weight 4, Adam 8 for each parameter.
constexpr double training_state_bytes(double parameters) { return 16 * parameters; }

// The best use of C = 6 N D training FLOP for text-to-image diffusion transformers, fitted from 1e17 to 6e18 and
// confirmed at 1.5e21 (Liang et al. 2024, arXiv:2410.08184).
struct ComputeOptimal {
  double parameters, tokens, loss, fid;
};
ComputeOptimal compute_optimal(double flops);

}  // namespace baton
