#pragma once

#include "engine/plan/dit_model.h"

namespace baton {

// FLOP of matrix products in one forward pass of one sample, whatever the mesh.
struct DitFlops {
  double linear;            // of a block's products with weights
  double attention;         // of its attention cores: 4 N^2 D for the picture, 4 N L D for the text
  double text;              // of its keys and values of the text
  double outside;           // of the blocks
  double feed_forward_out;  // the part of `linear` that selective recomputation repeats

  double forward(double blocks) const { return blocks * (linear + attention + text) + outside; }
};
DitFlops dit_flops(const DitModel& model);

// Of a training step over so many samples, the text encoder's included if it is trained: three times forward, and with
// `recompute` what is computed again. The backward pass of attention counts as two forward ones, as for a layer.
double dit_step_flops(const DitModel& model, double samples, Recompute recompute, int64_t every = 1);

}  // namespace baton
