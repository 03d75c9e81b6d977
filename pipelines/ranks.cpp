#include "pipelines/ranks.h"

#include <algorithm>
#include <numeric>

#include "engine/comm/local.h"
#include "engine/core/log.h"
#include "engine/parallel/region.h"
#include "kernels/machine.h"

namespace baton {
namespace {

// Loads of groups that serve consecutive experts.
std::vector<double> loads_of_groups(std::span<const double> loads, int groups) {
  check(groups == 1 || groups <= std::ssize(loads), "mesh: ep={} for {} experts; at most as many groups as experts",
        groups, loads.size());
  std::vector<double> sums(groups, 1.0);
  if (groups == 1) return sums;
  const std::vector<int64_t> parts = even_parts(std::ssize(loads), groups);
  for (int g = 0; g < groups; ++g) {
    const auto first = loads.begin() + part_start(parts, g);
    sums[g] = std::accumulate(first, first + parts[g], 0.0);
  }
  return sums;
}

void print_traffic(const Traffic& traffic) {
  for (const auto& [group, kinds] : traffic.entries)
    for (const auto& [kind, entry] : kinds)
      spdlog::info("profile: rank 0 sent {:.3f} MB in {} calls of {} on {}", entry.bytes / 1e6, entry.calls, kind,
                   group);
}

}  // namespace

void on_ranks(const ParallelConfig& config, const Runtime& runtime, std::span<const double> loads,
              const std::function<void(const Layout&)>& body) {
  resolve(config);
  const MeshSpec spec = parse_mesh(config.mesh);
  const int ranks = count_ranks(config);
  if (ranks == 1) return body({});
  const Mesh mesh(spec, ranks, loads_of_groups(loads, spec.size(Axis::ep)));
  const int threads = std::max(1, runtime.threads / ranks);
  spdlog::info("{} ranks as {}, {} CPU thread{} each", ranks, mesh.describe(), threads, threads == 1 ? "" : "s");
  run_ranks(ranks, {.threads = threads}, [&](Group& world) {
    body(Layout(world, mesh, config.sequence_parallel));
    if (config.profile && world.rank() == 0) print_traffic(world.traffic());
  });
  kernels::cpu::set_threads(runtime.threads);
}

}  // namespace baton
