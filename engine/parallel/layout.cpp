#include "engine/parallel/layout.h"

#include "engine/core/require.h"

namespace baton {

struct Layout::Groups {
  Mesh mesh;
  int rank;
  bool sequence_parallel;
  int pieces;
  std::array<std::unique_ptr<Group>, axis_count> axes;
  std::array<std::unique_ptr<Group>, 8> replicas;  // see index_of()
  std::unique_ptr<Group> backward_pp, samples, replica, expert_group, everyone;
};

namespace {

size_t index_of(const Holding& holding) {
  return (holding.shard != Shard::whole ? 4 : 0) + (holding.every_stage ? 2 : 0) + (holding.every_group ? 1 : 0);
}

// Ranks that have the same coordinates on these axes.
std::unique_ptr<Group> with_same(Group& world, const Mesh& mesh, const std::vector<Axis>& axes,
                                 const std::string& name) {
  int color = 0;
  for (Axis axis : axes) color = color * mesh.ranks() + mesh.coordinate(axis, world.rank());
  return world.split(color, name);
}

}  // namespace

Layout::Layout() = default;

Layout::Layout(Group& world, const Mesh& mesh, bool sequence_parallel, int pieces) {
  using enum Axis;
  require(mesh.ranks() == world.size(), "mesh: {} is for {} ranks, there are {}", mesh.describe(), mesh.ranks(),
          world.size());
  groups_ = std::make_shared<Groups>(Groups{mesh, world.rank(), sequence_parallel && mesh.size(tp, 0) > 1, pieces});
  for (Axis axis : {pp, dp, cfg, ring, ulysses, tp})
    groups_->axes[static_cast<int>(axis)] = world.split(mesh.peers(world.rank(), {axis})[0], std::string(name(axis)));
  groups_->backward_pp = world.split(mesh.peers(world.rank(), {pp})[0], "pp");
  for (Shard shard : {Shard::whole, Shard::column})
    for (bool every_stage : {false, true})
      for (bool every_group : {false, true}) {
        std::vector<Axis> fixed;
        if (!every_group) fixed.push_back(ep);
        if (!every_stage) fixed.push_back(pp);
        if (shard != Shard::whole || !groups_->sequence_parallel) fixed.push_back(tp);
        groups_->replicas[index_of({shard, every_stage, every_group})] = with_same(world, mesh, fixed, "replicas");
      }
  groups_->replica = with_same(world, mesh, {ep, dp}, "replica");
  groups_->expert_group = with_same(world, mesh, {ep}, "experts");
  groups_->everyone = world.split(0, "everyone");
  groups_->samples = with_same(world, mesh, {pp, cfg, ring, ulysses, tp}, "samples");
}

Group& Layout::on(Axis axis) const { return groups_ ? *groups_->axes[static_cast<int>(axis)] : alone(); }

Group& Layout::backward_pp() const { return groups_ ? *groups_->backward_pp : alone(); }

bool Layout::sequence_parallel() const { return groups_ && groups_->sequence_parallel; }

int Layout::pieces() const { return groups_ ? groups_->pieces : 1; }

Group& Layout::replicas(const Holding& holding) const {
  return groups_ ? *groups_->replicas[index_of(holding)] : alone();
}

Group& Layout::replica() const { return groups_ ? *groups_->replica : alone(); }

Group& Layout::expert_group() const { return groups_ ? *groups_->expert_group : alone(); }

Group& Layout::everyone() const { return groups_ ? *groups_->everyone : alone(); }

Group& Layout::samples() const { return groups_ ? *groups_->samples : alone(); }

const Mesh& Layout::mesh() const {
  static const Mesh one;
  return groups_ ? groups_->mesh : one;
}

int Layout::rank() const { return groups_ ? groups_->rank : 0; }

}  // namespace baton
