#pragma once

#include <initializer_list>

#include "engine/parallel/mesh.h"
#include "engine/plan/machine.h"

namespace baton {

// Where the ranks of a group are: `ranks` in all, `in_node` of them on each node.
struct Place {
  double ranks = 1, in_node = 1;
};

// Of the group over `axes` in a mesh whose neighbouring ranks are on one node.
Place place_of(const MeshSpec& mesh, std::initializer_list<Axis> axes, int64_t devices);

// Seconds for a message of `bytes`. A ring moves (n - 1) / n of it for each of gather and reduce-scatter, at the rate
// of its slowest link; between nodes, the ranks on a node send over all of their links at once. The first byte has to
// pass n - 1 ranks, or for an all-reduce also the 2 log2 n levels of a tree.
double all_reduce_seconds(const Machine& machine, const Place& place, double bytes);
double gather_seconds(const Machine& machine, const Place& place, double bytes);  // also reduce-scatter
double all_to_all_seconds(const Machine& machine, const Place& place, double bytes);
double send_seconds(const Machine& machine, bool within_node, double bytes);

}  // namespace baton
