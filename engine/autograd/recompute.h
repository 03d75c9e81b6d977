#pragma once

#include "engine/autograd/tape.h"

namespace baton {

// Runs `region` without recording it and keeps only its inputs; the backward pass runs it again, recorded, and goes on
// through it. Parameters that `region` captures receive their gradients as usual. The gradients are bit-identical to an
// ordinary run, because ops are deterministic and random numbers are keyed by counters. Outputs are treated as
// requiring a gradient. (Chen et al. 2016, arXiv:1604.06174.)
using Region = std::function<std::vector<Tensor>(std::span<const Tensor> inputs)>;
std::vector<Tensor> recompute(Region region, std::vector<Tensor> inputs);

// How much a model saves for its backward pass. `selective` reruns only what is large and cheap (norms, rotations,
// attention core, activation functions); `full` reruns whole blocks.
enum class Recompute { off, selective, full };

}  // namespace baton
