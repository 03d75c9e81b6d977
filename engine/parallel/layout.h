#pragma once

#include <memory>

#include "engine/comm/group.h"
#include "engine/parallel/mesh.h"

namespace baton {

// How a layer's matrices lie on the ranks of axis tp (Shoeybi et al. 2019): `column` has a share of the outputs on each
// rank, `row` a share of the inputs; `whole` is the same on all.
enum class Shard { whole, column, row };

// The groups that a rank belongs to, one for each axis of its mesh. Copies share them. Outlives what is built on it.
class Layout {
 public:
  Layout();  // one rank
  // Collective over `world`, which has mesh.ranks() ranks. `sequence_parallel`: between the sharded matrices, the ranks
  // of tp hold a share of the tokens each (Korthikanti et al. 2022), which needs no more communication than tp alone.
  Layout(Group& world, const Mesh& mesh, bool sequence_parallel);

  Group& on(Axis axis) const;  // not ep: see `experts`
  bool sequence_parallel() const;
  // Ranks that hold the same parameters and different samples or tokens: the gradients of a parameter are summed over
  // them. A parameter that is whole on all ranks of tp has only seen this rank's tokens under sequence parallelism.
  Group& replicas(Shard shard) const;
  // The same for what all groups of experts hold alike: the text encoder, or the one denoiser before the branch.
  Group& shared_replicas(Shard shard) const;
  // The ranks of this rank's replica, of its group of experts, and all ranks.
  Group& replica() const;
  Group& expert_group() const;
  Group& everyone() const;
  // One rank of each replica in all groups of experts: ranks with the same place in theirs.
  Group& samples() const;
  const Mesh& mesh() const;
  int rank() const;  // in the mesh

 private:
  struct Groups;
  std::shared_ptr<Groups> groups_;  // null: one rank
};

}  // namespace baton
