#pragma once

#include "engine/comm/group.h"
#include "engine/tensor/tensor.h"

// Collectives as ops. Each belongs to a conjugate pair: the backward pass of one runs the other, so that a computation
// split over a group has the gradients of the whole one. In a group of one all are the identity. All ranks of the group
// call the same ops in the same order.
//   copy (forward: nothing, backward: sum)              reduce (sum, nothing)
//   scatter (take my part, collect)                     collect (collect the parts, take mine)
//   all_gather (collect the parts, sum and scatter)     reduce_scatter (sum and scatter, collect)
//   heads_for_sequence (all-to-all)                     sequence_for_heads (all-to-all back)
namespace baton {

// Rank i's part of `total` rows or heads: parts differ by at most one and may be empty.
std::vector<int64_t> even_parts(int64_t total, int ranks);
int64_t part_start(const std::vector<int64_t>& parts, int rank);

Tensor copy(const Tensor& x, Group& group);    // x is the same on all ranks, each uses it in its own part of the work
Tensor reduce(const Tensor& x, Group& group);  // x is this rank's summand

// Rank's own part of x along `dim`, a window: its gradient is zero elsewhere.
Tensor own_part(const Tensor& x, int dim, const Group& group);

// Along `dim`, in even_parts(). scatter and collect: what follows (precedes) is done alike by all ranks.
Tensor scatter(const Tensor& x, int dim, Group& group);
Tensor collect(const Tensor& x, int dim, int64_t total, Group& group);
// What follows (precedes) is each rank's own part of the work.
Tensor all_gather(const Tensor& x, int dim, int64_t total, Group& group);
Tensor reduce_scatter(const Tensor& x, int dim, Group& group);

// Ulysses (Jacobs et al. 2023): x [B, my part of T, H, d] -> [B, T, my part of H, d], and back.
Tensor heads_for_sequence(const Tensor& x, int64_t tokens, Group& group);
Tensor sequence_for_heads(const Tensor& x, int64_t heads, Group& group);

}  // namespace baton
