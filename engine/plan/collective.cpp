#include "engine/plan/collective.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace baton {
namespace {

double rate(const Link& link) { return link.bandwidth * link.efficiency; }

void check_connected(const Machine& machine, const Place& place) {
  check(
      place.ranks <= place.in_node || machine.between.bandwidth > 0,
      "machine {}: a group of {} ranks with {} on a node needs between.bandwidth, which the machine file does not give",
      machine.name, place.ranks, place.in_node);
  check(place.in_node == 1 || machine.inside.bandwidth > 0,
        "machine {}: {} ranks on a node need inside.bandwidth, which the machine file does not give", machine.name,
        place.in_node);
}

struct Ring {
  double rate, latency;
};

Ring ring_over(const Machine& machine, const Place& place) {
  check_connected(machine, place);
  if (place.ranks <= place.in_node) return {rate(machine.inside), machine.inside.latency};
  const double network = rate(machine.between) * place.in_node;
  return {place.in_node > 1 ? std::min(network, rate(machine.inside)) : network, machine.between.latency};
}

}  // namespace

Place place_of(const MeshSpec& mesh, std::initializer_list<Axis> axes, int64_t devices) {
  Place place;
  double stride = 1;
  for (int axis = axis_count - 1; axis >= 0; --axis) {  // neighbouring ranks first
    const double size = mesh.sizes[axis];
    if (std::ranges::find(axes, static_cast<Axis>(axis)) != axes.end()) {
      place.ranks *= size;
      place.in_node *= std::clamp(std::floor(static_cast<double>(devices) / stride), 1.0, size);
    }
    stride *= size;
  }
  return place;
}

double gather_seconds(const Machine& machine, const Place& place, double bytes) {
  if (place.ranks <= 1) return 0;
  const Ring ring = ring_over(machine, place);
  return bytes * (place.ranks - 1) / place.ranks / ring.rate + (place.ranks - 1) * ring.latency;
}

double all_reduce_seconds(const Machine& machine, const Place& place, double bytes) {
  if (place.ranks <= 1) return 0;
  const Ring ring = ring_over(machine, place);
  const double hops = std::min(2 * (place.ranks - 1), 2 * std::ceil(std::log2(place.ranks)) + 2);
  return 2 * bytes * (place.ranks - 1) / place.ranks / ring.rate + hops * ring.latency;
}

double all_to_all_seconds(const Machine& machine, const Place& place, double bytes) {
  if (place.ranks <= 1) return 0;
  check_connected(machine, place);
  const double within = bytes * (place.in_node - 1) / place.ranks;
  const double beyond = bytes * (place.ranks - place.in_node) / place.ranks;
  double seconds = place.in_node > 1 ? within / rate(machine.inside) + machine.inside.latency : 0;
  if (beyond > 0) seconds = std::max(seconds, beyond / rate(machine.between) + machine.between.latency);
  return seconds;
}

double send_seconds(const Machine& machine, bool within_node, double bytes) {
  check_connected(machine, {2, within_node ? 2.0 : 1.0});
  const Link& link = within_node ? machine.inside : machine.between;
  return bytes / rate(link) + link.latency;
}

}  // namespace baton
