#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// How ranks are arranged: a grid with named axes. Neighbours on a later axis have neighbouring rank numbers, so that
// the axes that talk most (tp, ulysses) stay inside a host.
namespace baton {

enum class Axis {
  ep,       // groups of experts, each with replicas of its own number
  pp,       // pipeline stages: consecutive blocks
  dp,       // replicas with different samples
  cfg,      // the two halves of guidance
  ring,     // shares of the sequence, keys and values travel
  ulysses,  // shares of the sequence, traded for shares of the heads in attention
  tp,       // shares of every matrix
};
constexpr int axis_count = 7;
std::string_view name(Axis axis);

// What the user asks for: "tp=2,ulysses=2", "dp=4", "ep=2" (groups sized by their load) or "ep=1:3" (1 and 3 replicas).
struct MeshSpec {
  std::array<int, axis_count> sizes{1, 1, 1, 1, 1, 1, 1};
  bool dp_given = false;      // else as many replicas as the ranks allow
  std::vector<int> replicas;  // of each expert group; empty: by load

  int size(Axis axis) const { return sizes[static_cast<int>(axis)]; }
  int cell() const;   // ranks of one replica
  int ranks() const;  // the product of all sizes
};

// Throws InputError for unknown or repeated axes and sizes below 1.
MeshSpec parse_mesh(std::string_view text);
std::string to_string(const MeshSpec& spec);

class Mesh {
 public:
  Mesh() : Mesh(MeshSpec{}, 1, {}) {}  // one rank
  // `loads`: of each expert group, any unit, for an axis ep without given replicas. Throws InputError, with the sizes
  // that would fit, when the product of the axes is not `ranks`.
  Mesh(const MeshSpec& spec, int ranks, std::span<const double> loads);

  int ranks() const { return ranks_; }
  int size(Axis axis, int rank) const;                            // dp: of this rank's expert group
  int coordinate(Axis axis, int rank) const;                      // in [0, size)
  const std::vector<int>& replicas() const { return replicas_; }  // of each expert group
  int first_rank(int group, int replica) const;                   // of a replica
  // The ranks, rising, that share all coordinates of `rank` but those on `axes`. Axis ep is not among them: its groups
  // differ in size.
  std::vector<int> peers(int rank, std::initializer_list<Axis> axes) const;
  std::string describe() const;  // for people: sizes, and the replicas of expert groups

 private:
  int group_of(int rank) const;
  int first_rank(int group) const;
  int stride(Axis axis, int group) const;
  int group_size(Axis axis, int group) const;

  MeshSpec spec_;
  int ranks_;
  std::vector<int> replicas_;
};

// `total` replicas over groups, each at least one, so that the busiest replica has as little to do as possible. Throws
// InputError if total < loads.size().
std::vector<int> by_load(int total, std::span<const double> loads);

}  // namespace baton
