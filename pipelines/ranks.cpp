#include "pipelines/ranks.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "engine/comm/local.h"
#include "engine/comm/mpi.h"
#include "engine/core/heartbeat.h"
#include "engine/core/log.h"
#include "engine/io/file.h"
#include "engine/parallel/region.h"
#include "pipelines/failure.h"

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
      if (entry.bytes > 0)
        spdlog::info("profile: rank 0 sent {:.3f} MB in {} calls of {} on {}", entry.bytes / 1e6, entry.calls, kind,
                     group);
}

// Other builds would call other collectives.
void check_same_program(Group& world) {
  const std::vector<std::string> hashes = from_all(hash_file("/proc/self/exe"), world);
  for (size_t r = 1; r < hashes.size(); ++r)
    check(hashes[r] == hashes[0], "mpi: ranks 0 and {} run different builds of baton; install the same on all hosts",
          r);
}

void run_role(Group& world, const Mesh& mesh, const ParallelConfig& config, const Roles& roles) {
  const auto layout = [&](Group& group) {
    return Layout(group, mesh, config.sequence_parallel, static_cast<int>(config.interleave));
  };
  if (config.text_ranks == 0) {
    roles.draw(layout(world), nullptr);
  } else {
    TextRanks text(world, mesh.ranks());
    const auto alike = world.split(text.encodes() ? 1 : 0, "world");
    if (text.encodes())
      roles.encode(text);
    else
      roles.draw(layout(*alike), &text);
  }
  if (config.profile && world.rank() == 0) print_traffic(world.traffic());
}

std::string describe(const Mesh& mesh, const ParallelConfig& config) {
  const std::string text = config.text_ranks > 0 ? fmt::format("{} for texts, the others as ", config.text_ranks) : "";
  return text + mesh.describe();
}

// The error of one rank, said once: the others would wait for it, so all processes end. Where all fail alike the first
// one says it.
[[noreturn]] void give_up(MpiSession& session, const Failure& failure) {
  for (int wait = 0; wait < 50 && session.world().rank() > 0; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    beat();
  }
  log_failure(failure, fmt::format("rank {}: ", session.world().rank()));
  session.abort(failure.exit_code);
}

bool on_processes(ParallelConfig config, int threads, std::span<const double> loads, const FindTerms& terms,
                  const Roles& roles) {
  MpiSession session;
  Group& world = session.world();
  try {
    check_same_program(world);
    check_agreement("configs", terms(), world);
    check(config.ranks == 0 || config.ranks == world.size(), "ranks: {}, but mpirun started {} processes", config.ranks,
          world.size());
    config.ranks = world.size();
    resolve(config);
    const MeshSpec spec = parse_mesh(config.mesh);
    const Mesh mesh(spec, world.size() - static_cast<int>(config.text_ranks),
                    loads_of_groups(loads, spec.size(Axis::ep)));
    spdlog::info("{} processes as {}, {} CPU threads each", world.size(), describe(mesh, config), threads);
    run_role(world, mesh, config, roles);
  } catch (const std::exception& error) {
    give_up(session, describe_failure(error));
  }
  world.barrier();
  return world.rank() == 0;
}

}  // namespace

bool on_ranks(const ParallelConfig& config, const Runtime& runtime, std::span<const double> loads,
              const FindTerms& terms, const Roles& roles) {
  if (started_by_mpi()) return on_processes(config, runtime.threads, loads, terms, roles);
  resolve(config);
  const MeshSpec spec = parse_mesh(config.mesh);
  const int ranks = count_ranks(config);
  if (ranks == 1) {
    roles.draw({}, nullptr);
    return true;
  }
  const Mesh mesh(spec, ranks - static_cast<int>(config.text_ranks), loads_of_groups(loads, spec.size(Axis::ep)));
  const int threads = std::max(1, runtime.threads / ranks);
  spdlog::info("{} ranks as {}, {} CPU thread{} each", ranks, describe(mesh, config), threads, threads == 1 ? "" : "s");
  try {
    run_ranks(ranks, {.threads = threads}, [&](Group& world) { run_role(world, mesh, config, roles); });
  } catch (const LostRank& error) {
    spdlog::error("{}", error.what());
    std::_Exit(exit_failed);  // at once, as the rank that hangs still uses what stands here and in the callers
  }
  return true;
}

bool on_ranks(const ParallelConfig& config, const Runtime& runtime, std::span<const double> loads,
              const FindTerms& terms, const std::function<void(const Layout&)>& body) {
  check(config.text_ranks == 0, "text_ranks: {}, but only generate encodes texts ahead; leave it out",
        config.text_ranks);
  return on_ranks(config, runtime, loads, terms, Roles{[&](const Layout& layout, TextRanks*) { body(layout); }, {}});
}

}  // namespace baton
