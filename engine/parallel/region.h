#pragma once

#include "engine/comm/group.h"
#include "engine/tensor/tensor.h"

// Collectives as ops. Each belongs to a conjugate pair: the backward pass of one runs the other, so that a computation
// split over a group has the gradients of the whole one. In a group of one all are the identity. All ranks of the group
// call the same ops in the same order.
//   copy (forward: nothing, backward: sum)              reduce (sum, nothing)
//   scatter (take my part, collect)                     collect (collect the parts, take mine)
//   all_gather (collect the parts, sum and scatter)     reduce_scatter (sum and scatter, collect)
//   trade (all-to-all)                                  trade (all-to-all back)
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

// This rank's part along `to` of a whole of `total`, with everything along `from` -> everything along `to`, with this
// rank's part along `from`. Ulysses (Jacobs et al. 2023) trades tokens for heads.
Tensor trade(const Tensor& x, int from, int to, int64_t total, Group& group);

}  // namespace baton
