#include "engine/parallel/layout.h"

#include "engine/core/error.h"

namespace baton {

struct Layout::Groups {
  std::array<std::unique_ptr<Group>, axis_count> axes;  // null where the size is one
  std::unique_ptr<Group> sharded, whole;                // see replicas()
  bool sequence_parallel;
};

namespace {

std::unique_ptr<Group> open(Group& world, const Mesh& mesh, std::initializer_list<Axis> axes, std::string_view name) {
  return world.split(mesh.peers(world.rank(), axes)[0], std::string(name));
}

Group& or_alone(const std::unique_ptr<Group>& group) { return group ? *group : alone(); }

}  // namespace

Layout::Layout() = default;

Layout::Layout(Group& world, const Mesh& mesh, bool sequence_parallel) : groups_(std::make_shared<Groups>()) {
  check(mesh.ranks() == world.size(), "mesh: {} is for {} ranks, there are {}", mesh.describe(), mesh.ranks(),
        world.size());
  groups_->sequence_parallel = sequence_parallel && mesh.size(Axis::tp, world.rank()) > 1;
  for (Axis axis : {Axis::pp, Axis::dp, Axis::cfg, Axis::ring, Axis::ulysses, Axis::tp})
    groups_->axes[static_cast<int>(axis)] = open(world, mesh, {axis}, name(axis));
  groups_->sharded = open(world, mesh, {Axis::dp, Axis::ring, Axis::ulysses}, "replicas");
  groups_->whole = groups_->sequence_parallel
                       ? open(world, mesh, {Axis::dp, Axis::ring, Axis::ulysses, Axis::tp}, "replicas and tp")
                       : open(world, mesh, {Axis::dp, Axis::ring, Axis::ulysses}, "replicas");
}

Group& Layout::on(Axis axis) const { return groups_ ? or_alone(groups_->axes[static_cast<int>(axis)]) : alone(); }

bool Layout::sequence_parallel() const { return groups_ && groups_->sequence_parallel; }

Group& Layout::replicas(Shard shard) const {
  if (!groups_) return alone();
  return shard == Shard::whole ? *groups_->whole : *groups_->sharded;
}

}  // namespace baton
