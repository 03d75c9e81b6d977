#pragma once

#include <memory>

#include "engine/comm/group.h"
#include "engine/parallel/mesh.h"

namespace baton {

// How a layer's matrices lie on the ranks of axis tp (Shoeybi et al. 2019): `column` has a share of the outputs on each
// rank, `row` a share of the inputs; `whole` is the same on all.
enum class Shard { whole, column, row };

// Who else has a parameter: it may be whole or a share, and stand in one pipeline stage or in all, one group of experts
// or all.
struct Holding {
  Shard shard = Shard::whole;
  bool every_stage = false;  // what conditions all blocks, and the text encoder
  bool every_group = false;  // the text encoder, and the one denoiser before the branch
  bool operator==(const Holding&) const = default;
};

// The groups that a rank belongs to, one for each axis of its mesh. Copies share them. Outlives what is built on it.
class Layout {
 public:
  Layout();  // one rank
  // Collective over `world`, which has mesh.ranks() ranks. `sequence_parallel`: between the sharded matrices, the ranks
  // of tp hold a share of the tokens each (Korthikanti et al. 2022), which needs no more communication than tp alone.
  // `pieces`: pieces of the stack of blocks that each rank of pp holds (engine/parallel/stages.h).
  Layout(Group& world, const Mesh& mesh, bool sequence_parallel, int pieces = 1);

  Group& on(Axis axis) const;  // not ep: see expert_group()
  Group& backward_pp() const;  // the ranks of axis pp once more, for messages that must not wait behind the others
  bool sequence_parallel() const;
  int pieces() const;
  // Ranks that hold the same parameter and give it gradients from different samples, tokens or stages: its gradient is
  // their sum. A parameter that is whole on all ranks of tp has seen this rank's tokens alone under sequence
  // parallelism.
  Group& replicas(const Holding& holding) const;
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
