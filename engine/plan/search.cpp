#include "engine/plan/search.h"

#include <algorithm>
#include <optional>

#include "engine/core/error.h"

namespace baton {
namespace {

std::vector<int> divisors(int64_t n) {
  std::vector<int> found;
  for (int64_t i = 1; i <= n; ++i)
    if (n % i == 0) found.push_back(static_cast<int>(i));
  return found;
}

MeshSpec with_axes(std::initializer_list<std::pair<Axis, int>> sizes) {
  MeshSpec mesh;
  for (const auto& [axis, size] : sizes) mesh.sizes[static_cast<int>(axis)] = size;
  return mesh;
}

// Of two plans the better one: one that fits, then the faster, or of two that do not fit the smaller.
bool better(const Plan& a, const Plan& b, const Machine& machine) {
  const bool fits = a.fits(machine);
  if (fits != b.fits(machine)) return fits;
  return fits ? a.time.step() < b.time.step() : a.memory.peak() < b.memory.peak();
}

template <typename Run>
class Best {
 public:
  explicit Best(const Machine& machine) : machine_(machine) {}

  void consider(const Run& run, const Plan& plan) {
    if (!best_ || better(plan, best_->plan, machine_)) best_ = {run, plan};
  }
  const std::optional<Found<Run>>& best() const { return best_; }

 private:
  const Machine& machine_;
  std::optional<Found<Run>> best_;
};

constexpr Recompute modes[] = {Recompute::off, Recompute::selective, Recompute::full};

std::vector<bool> sequence_parallel_choices(int tp) {
  return tp > 1 ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

// Pieces of a pipeline stage that divide its blocks, for micro-batches in whole rounds of the stages.
std::vector<int> interleave_choices(const DitModel& m, const DitRun& run) {
  const int64_t pp = run.mesh.size(Axis::pp), replicas = run.ranks / run.mesh.cell();
  const int64_t samples = (run.batch + replicas - 1) / replicas;
  const int64_t micro_batches = (samples + run.micro_batch - 1) / run.micro_batch;
  if (pp == 1 || run.mesh.size(Axis::ep) > 1 || micro_batches % pp != 0) return {1};
  return divisors(m.transformer.num_layers / pp);
}

// From keeping all to keeping least.
constexpr std::pair<Recompute, int64_t> dit_modes[] = {
    {Recompute::off, 1}, {Recompute::selective, 1}, {Recompute::full, 4}, {Recompute::full, 2}, {Recompute::full, 1}};

// Of the ways to run on run.mesh.
std::optional<Found<DitRun>> best_on(DitRun run, const DitModel& m, int64_t most_zero, const Machine& machine) {
  Best<DitRun> best(machine);
  const int64_t most = std::min<int64_t>(run.batch, 64);
  for (const bool sequence_parallel : sequence_parallel_choices(run.mesh.size(Axis::tp)))
    for (run.zero = 0; run.zero <= most_zero; ++run.zero)
      for (const auto& [recompute, every] : run.zero == 3 ? std::span(dit_modes).last(1) : std::span(dit_modes))
        for (run.micro_batch = 1; run.micro_batch <= most; run.micro_batch *= 2)
          for (const int interleave : interleave_choices(m, run)) {
            run.sequence_parallel = sequence_parallel;
            run.recompute = recompute;
            run.recompute_every = every;
            run.interleave = interleave;
            best.consider(run, plan_dit(m, run, machine));
          }
  return best.best();
}

template <typename Run>
void sort_best_first(std::vector<Found<Run>>& found, const Machine& machine) {
  std::ranges::sort(found, [&](const auto& a, const auto& b) { return better(a.plan, b.plan, machine); });
  const auto end = std::ranges::find_if(found, [&](const auto& f) { return !f.plan.fits(machine); });
  found.erase(std::max(end, found.begin() + std::min<size_t>(1, found.size())), found.end());
}

}  // namespace

std::vector<Found<DitRun>> search_dit(const DitModel& m, int64_t ranks, int64_t batch, int64_t most_zero,
                                      const Machine& machine) {
  const WanTransformerConfig& c = m.transformer;
  std::vector<Found<DitRun>> found;
  const std::vector<int> groups =
      m.experts() > 1 && !m.turns ? std::vector<int>{1, static_cast<int>(m.experts())} : std::vector<int>{1};
  for (const int ep : groups)
    for (const int tp : divisors(machine.devices))
      for (const int ulysses : divisors(ranks))
        for (const int ring : divisors(ranks / ulysses))
          for (const int pp : divisors(ranks / ulysses / ring)) {
            const int64_t cell = int64_t{tp} * ulysses * ring * pp;
            if (ranks % cell != 0 || ranks / cell < ep) continue;
            if (c.num_attention_heads % tp != 0 || c.ffn_dim % tp != 0 || c.num_attention_heads % (tp * ulysses) != 0)
              continue;
            if (c.num_layers % pp != 0 || m.tokens < ulysses * ring) continue;
            const MeshSpec mesh = with_axes(
                {{Axis::ep, ep}, {Axis::pp, pp}, {Axis::ring, ring}, {Axis::ulysses, ulysses}, {Axis::tp, tp}});
            if (ranks / cell / ep > batch) continue;
            const DitRun run{.mesh = mesh, .ranks = ranks, .batch = batch};
            if (auto best = best_on(run, m, most_zero, machine)) found.push_back(*best);
          }
  sort_best_first(found, machine);
  return found;
}

std::vector<Found<Execution>> search_gpt(const GptModel& m, int64_t ranks, int64_t batch, const Machine& machine) {
  std::vector<Found<Execution>> found;
  for (const int tp : divisors(machine.devices))
    for (const int pp : divisors(m.layers)) {
      const int64_t cell = int64_t{tp} * pp;
      if (ranks % cell != 0 || m.heads % tp != 0 || batch % (ranks / cell) != 0) continue;
      const int64_t replica = batch / (ranks / cell);
      Best<Execution> best(machine);
      for (const bool sequence_parallel : sequence_parallel_choices(tp))
        for (const Recompute recompute : modes)
          for (const int interleave : pp > 1 ? divisors(m.layers / pp) : std::vector<int>{1}) {
            if (interleave > 1 && replica % pp != 0) continue;
            Execution e{.mesh = with_axes({{Axis::pp, pp}, {Axis::dp, static_cast<int>(ranks / cell)}, {Axis::tp, tp}}),
                        .interleave = interleave,
                        .recompute = recompute,
                        .sequence_parallel = sequence_parallel};
            e = with_best_micro_batch(m, e, replica, machine);
            best.consider(e, plan_gpt(m, e, machine));
          }
      if (best.best()) found.push_back(*best.best());
    }
  sort_best_first(found, machine);
  return found;
}

}  // namespace baton
