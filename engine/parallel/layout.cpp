#include "engine/parallel/layout.h"

#include "engine/core/error.h"

namespace baton {

struct Layout::Groups {
  Mesh mesh;
  int rank;
  bool sequence_parallel;
  std::array<std::unique_ptr<Group>, axis_count> axes;
  std::unique_ptr<Group> sharded, whole, shared_sharded, shared_whole, samples, replica, expert_group, everyone;
};

namespace {

// Ranks that have the same coordinates on these axes.
std::unique_ptr<Group> with_same(Group& world, const Mesh& mesh, std::initializer_list<Axis> axes,
                                 const std::string& name) {
  int color = 0;
  for (Axis axis : axes) color = color * mesh.ranks() + mesh.coordinate(axis, world.rank());
  return world.split(color, name);
}

}  // namespace

Layout::Layout() = default;

Layout::Layout(Group& world, const Mesh& mesh, bool sequence_parallel) {
  using enum Axis;
  check(mesh.ranks() == world.size(), "mesh: {} is for {} ranks, there are {}", mesh.describe(), mesh.ranks(),
        world.size());
  groups_ = std::make_shared<Groups>(Groups{mesh, world.rank(), sequence_parallel && mesh.size(tp, 0) > 1});
  for (Axis axis : {pp, dp, cfg, ring, ulysses, tp})
    groups_->axes[static_cast<int>(axis)] = world.split(mesh.peers(world.rank(), {axis})[0], std::string(name(axis)));
  groups_->sharded = with_same(world, mesh, {ep, pp, tp}, "replicas");
  groups_->shared_sharded = with_same(world, mesh, {pp, tp}, "replicas");
  if (groups_->sequence_parallel) {
    groups_->whole = with_same(world, mesh, {ep, pp}, "replicas");
    groups_->shared_whole = with_same(world, mesh, {pp}, "replicas");
  } else {
    groups_->whole = with_same(world, mesh, {ep, pp, tp}, "replicas");
    groups_->shared_whole = with_same(world, mesh, {pp, tp}, "replicas");
  }
  groups_->replica = with_same(world, mesh, {ep, dp}, "replica");
  groups_->expert_group = with_same(world, mesh, {ep}, "experts");
  groups_->everyone = world.split(0, "everyone");
  groups_->samples = with_same(world, mesh, {pp, cfg, ring, ulysses, tp}, "samples");
}

Group& Layout::on(Axis axis) const { return groups_ ? *groups_->axes[static_cast<int>(axis)] : alone(); }

bool Layout::sequence_parallel() const { return groups_ && groups_->sequence_parallel; }

Group& Layout::replicas(Shard shard) const {
  if (!groups_) return alone();
  return shard == Shard::whole ? *groups_->whole : *groups_->sharded;
}

Group& Layout::shared_replicas(Shard shard) const {
  if (!groups_) return alone();
  return shard == Shard::whole ? *groups_->shared_whole : *groups_->shared_sharded;
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
