#include "engine/parallel/mesh.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/require.h"

namespace baton {
namespace {

constexpr std::string_view names[axis_count] = {"ep", "pp", "dp", "cfg", "ring", "ulysses", "tp"};
constexpr int most_ranks = 1 << 20;

int to_size(std::string_view text, std::string_view axis) {
  int size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  check(error == std::errc() && end == text.data() + text.size() && size >= 1 && size <= most_ranks,
        "mesh: {}={}, expected a whole number from 1 to {}", axis, text, most_ranks);
  return size;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int axis_index(std::string_view word) {
  const auto* found = std::ranges::find(names, word);
  check(found != std::end(names), "mesh: there is no axis '{}'; axes are {}", word, fmt::join(names, ", "));
  return static_cast<int>(found - names);
}

// Sizes of data parallelism that make the product right, for the message.
std::string advice(const MeshSpec& spec, int ranks) {
  const int cell = spec.cell(), below = ranks / cell * cell;
  if (below == 0) return fmt::format("one replica takes {} ranks", cell);
  if (below != ranks)
    return fmt::format("one replica takes {} ranks, so {} or {} ranks would fit", cell, below, below + cell);
  return fmt::format("dp={} would fit", ranks / cell);
}

}  // namespace

std::string_view name(Axis axis) { return names[static_cast<int>(axis)]; }

int MeshSpec::cell() const {
  const int all = std::accumulate(sizes.begin(), sizes.end(), 1, std::multiplies<>());
  return all / size(Axis::ep) / size(Axis::dp);
}

int MeshSpec::ranks() const {
  const int cells =
      replicas.empty() ? size(Axis::ep) * size(Axis::dp) : std::accumulate(replicas.begin(), replicas.end(), 0);
  return cell() * cells;
}

MeshSpec parse_mesh(std::string_view text) {
  MeshSpec spec;
  std::array<bool, axis_count> seen{};
  if (text.empty()) return spec;
  for (std::string_view part : split(text, ',')) {
    const size_t equals = part.find('=');
    check(equals != std::string_view::npos, "mesh: '{}', expected AXIS=SIZE like tp=2,ulysses=2", part);
    const int axis = axis_index(part.substr(0, equals));
    check(!seen[axis], "mesh: {} is given twice", names[axis]);
    seen[axis] = true;
    const std::string_view value = part.substr(equals + 1);
    if (static_cast<Axis>(axis) == Axis::ep && value.find(':') != std::string_view::npos) {
      for (std::string_view replicas : split(value, ':')) spec.replicas.push_back(to_size(replicas, "ep"));
      spec.sizes[axis] = static_cast<int>(spec.replicas.size());
    } else {
      spec.sizes[axis] = to_size(value, names[axis]);
    }
  }
  spec.dp_given = seen[static_cast<int>(Axis::dp)];
  check(spec.size(Axis::cfg) <= 2, "mesh: cfg={}, but guidance has two halves: 1 or 2", spec.size(Axis::cfg));
  check(spec.replicas.empty() || !spec.dp_given, "mesh: ep={} already says the replicas of each group; leave dp out",
        fmt::join(spec.replicas, ":"));
  double product = 1;
  for (int size : spec.sizes) product *= size;
  check(product <= most_ranks, "mesh: '{}' asks for {} ranks, at most {} are possible", text, product, most_ranks);
  return spec;
}

std::string to_string(const MeshSpec& spec) {
  std::vector<std::string> parts;
  for (int axis = 0; axis < axis_count; ++axis) {
    if (static_cast<Axis>(axis) == Axis::ep && !spec.replicas.empty())
      parts.push_back(fmt::format("ep={}", fmt::join(spec.replicas, ":")));
    else if (spec.sizes[axis] > 1)
      parts.push_back(fmt::format("{}={}", names[axis], spec.sizes[axis]));
  }
  return parts.empty() ? "dp=1" : fmt::format("{}", fmt::join(parts, ","));
}

std::vector<int> by_load(int total, std::span<const double> loads) {
  const auto groups = static_cast<int>(loads.size());
  check(total >= groups, "mesh: {} replicas for {} groups of experts, each needs at least one", total, groups);
  std::vector<int> sizes(groups, 1);
  for (int given = groups; given < total; ++given) {
    int busiest = 0;
    for (int g = 1; g < groups; ++g)
      if (loads[g] / sizes[g] > loads[busiest] / sizes[busiest]) busiest = g;
    ++sizes[busiest];
  }
  return sizes;
}

Mesh::Mesh(const MeshSpec& spec, int ranks, std::span<const double> loads) : spec_(spec), ranks_(ranks) {
  const int groups = spec.size(Axis::ep);
  const auto wrong = [&] {
    fail("mesh: {} takes {} ranks, there are {}; {}", to_string(spec), spec.ranks(), ranks, advice(spec, ranks));
  };
  if (spec.dp_given || !spec.replicas.empty() ? spec.ranks() != ranks : ranks % spec.cell() != 0) wrong();
  const int total = ranks / spec.cell();
  if (!spec.replicas.empty()) {
    replicas_ = spec.replicas;
  } else if (groups == 1) {
    replicas_ = {total};
  } else {
    require(static_cast<int>(loads.size()) == groups, "mesh: loads of {} groups of experts for ep={}", loads.size(),
            groups);
    replicas_ = by_load(total, loads);
  }
}

int Mesh::group_size(Axis axis, int group) const {
  if (axis == Axis::ep) return static_cast<int>(replicas_.size());
  return axis == Axis::dp ? replicas_[group] : spec_.size(axis);
}

int Mesh::first_rank(int group) const {
  return spec_.cell() * std::accumulate(replicas_.begin(), replicas_.begin() + group, 0);
}

int Mesh::first_rank(int group, int replica) const { return first_rank(group) + replica * stride(Axis::dp, group); }

int Mesh::group_of(int rank) const {
  int group = 0;
  while (first_rank(group + 1) <= rank) ++group;
  return group;
}

int Mesh::stride(Axis axis, int group) const {
  int stride = 1;
  for (int later = static_cast<int>(axis) + 1; later < axis_count; ++later)
    stride *= group_size(static_cast<Axis>(later), group);
  return stride;
}

int Mesh::size(Axis axis, int rank) const { return group_size(axis, group_of(rank)); }

int Mesh::coordinate(Axis axis, int rank) const {
  const int group = group_of(rank);
  if (axis == Axis::ep) return group;
  return (rank - first_rank(group)) / stride(axis, group) % group_size(axis, group);
}

std::vector<int> Mesh::peers(int rank, std::initializer_list<Axis> axes) const {
  const int group = group_of(rank);
  std::vector<int> peers{rank};
  for (Axis axis : axes) {
    const int size = group_size(axis, group), step = stride(axis, group);
    std::vector<int> all;
    for (int peer : peers)
      for (int i = 0; i < size; ++i) all.push_back(peer + (i - coordinate(axis, peer)) * step);
    peers = std::move(all);
  }
  std::ranges::sort(peers);
  return peers;
}

std::string Mesh::describe() const {
  if (replicas_.size() == 1) {
    MeshSpec spec = spec_;
    spec.sizes[static_cast<int>(Axis::dp)] = replicas_[0];
    return to_string(spec);
  }
  MeshSpec spec = spec_;
  spec.replicas = replicas_;
  spec.sizes[static_cast<int>(Axis::dp)] = 1;
  return to_string(spec);
}

}  // namespace baton
