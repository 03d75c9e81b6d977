#include "engine/plan/plan_dit.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/plan/dit_activations.h"
#include "engine/plan/dit_block.h"
#include "engine/plan/dit_flops.h"
#include "engine/plan/dit_shares.h"
#include "engine/plan/schedule.h"
#include "engine/plan/step_time.h"

namespace baton {
namespace {

constexpr double bucket_bytes = f32_bytes * (1 << 20);  // engine/train/flat_parameters.cpp

// One group of experts: those that it holds, and how its ranks run a step.
struct ExpertGroup {
  DitModel model;  // shares: of its experts, together 1
  Execution execution;
};

double stage_blocks(const DitModel& m, const Execution& e) {
  return std::ceil(static_cast<double>(m.transformer.num_layers) / e.size(Axis::pp));
}

double replicas(const Execution& e) { return e.size(Axis::dp) * e.size(Axis::ring) * e.size(Axis::ulysses); }
double replicas_sharing(const Execution& e, int64_t from_stage) { return e.zero >= from_stage ? replicas(e) : 1; }

// Of one rank: those that Muon updates, those that AdamW does, and how many of both stand in the denoisers' blocks.
struct RankParameters {
  double muon = 0, adamw = 0, in_blocks = 0;
  double all() const { return muon + adamw; }
};

RankParameters rank_parameters(const DitModel& m, const Execution& e) {
  const DitParameters p = parameters_of(m.transformer);
  const auto experts = static_cast<double>(m.experts());
  const double t = e.size(Axis::tp), blocks = experts * stage_blocks(m, e);
  double matrices = blocks * p.block_matrices / t;
  double others = blocks * (p.block_sharded / t + p.block_whole) + experts * p.outside;
  const double in_blocks = matrices + others - experts * p.outside;
  if (m.text_encoder) {
    matrices += parameters_of(*m.text_encoder).block_matrices;
    others += parameters_of(*m.text_encoder).others;
  }
  return m.muon ? RankParameters{matrices, others, in_blocks} : RankParameters{0, matrices + others, in_blocks};
}

// A mean over blocks, of which every so many recompute.
double of_block(double recomputed, double whole, int64_t recompute_every) {
  const auto every = static_cast<double>(recompute_every);
  return (recomputed + (every - 1) * whole) / every;
}

// A micro-batch is divided among the experts that its noise levels fall to, or they take turns.
int64_t experts_in_step(const DitModel& m, const Execution& e) {
  return m.turns ? 1 : std::min(m.experts(), e.micro_batch);
}

// What the blocks of the first stage keep for all micro-batches in flight.
double block_bytes(const DitModel& m, const Execution& e, Recompute recompute, int64_t every) {
  return stage_blocks(m, e) * micro_batches_in_flight(e) *
         of_block(dit_block_activations(m, e, recompute), dit_block_activations(m, e, Recompute::off), every);
}

MemoryPlan memory_of(const DitModel& m, const Execution& e) {
  const RankParameters p = rank_parameters(m, e);
  const DitShares s(m, e);
  // Gradients are summed over the replicas at the last micro-batch alone, so ZeRO-2 can divide those of one only.
  const double gradient_share = e.zero == 3 || (e.zero == 2 && e.micro_batches == 1) ? replicas(e) : 1;
  MemoryPlan memory{.weights = f32_bytes * (p.in_blocks / replicas_sharing(e, 3) + p.all() - p.in_blocks),
                    .gradients = f32_bytes * p.all() / gradient_share,
                    .optimizer = (f32_bytes * p.muon + 2 * f32_bytes * p.adamw + (m.ema ? f32_bytes * p.all() : 0)) /
                                 replicas_sharing(e, 1)};
  const double in_flight = micro_batches_in_flight(e);
  memory.compute_weights = stage_blocks(m, e) * in_flight *
                           of_block(dit_block_weight_copies(m, e, e.recompute),
                                    dit_block_weight_copies(m, e, Recompute::off), e.recompute_every) *
                           static_cast<double>(experts_in_step(m, e));
  memory.activations = block_bytes(m, e, e.recompute, e.recompute_every);
  for (const Recompute mode : {Recompute::off, Recompute::selective, Recompute::full})
    memory.activations_if[static_cast<int>(mode)] = block_bytes(m, e, mode, 1);
  memory.activations_outside = in_flight * (dit_activations_outside(m, e) + text_encoder_activations(m, e));
  memory.working = dit_working(m, e);
  if (s.t > 1) memory.buffers += s.bytes * s.entered();
  if (s.u > 1) memory.buffers += 2 * s.bytes * s.column();
  if (s.r > 1) memory.buffers += 2 * (2 * s.bytes + 2 * f32_bytes) * s.column();
  if (e.size(Axis::pp) > 1) memory.buffers += 2 * f32_bytes * s.residual();
  if (replicas(e) > 1) memory.buffers += 2 * bucket_bytes;
  if (e.zero == 3)
    memory.buffers += 2 * f32_bytes * parameters_of(m.transformer).block() / s.t;  // this block and the next
  return memory;
}

// Five Newton-Schulz iterations of a matrix [r, c] with r <= c: s = x x^T, polynomial of s, times x.
double orthogonalize_flops(double r, double c) { return 5 * (4 * r * r * c + 2 * r * r * r); }

double muon_flops(const DitModel& m, const Execution& e) {
  if (!m.muon) return 0;
  const auto d = static_cast<double>(m.transformer.inner_dim()), f = static_cast<double>(m.transformer.ffn_dim);
  const double block = 8 * orthogonalize_flops(d, d) + 2 * orthogonalize_flops(std::min(d, f), std::max(d, f));
  return static_cast<double>(m.experts()) * stage_blocks(m, e) * block / e.size(Axis::tp) / replicas_sharing(e, 1);
}

StepWork work_of(const DitModel& m, const Execution& e, const Machine& machine) {
  const int64_t used = experts_in_step(m, e);
  Execution one = e;
  one.micro_batch = (e.micro_batch + used - 1) / used;
  const auto times = static_cast<double>(e.micro_batch) / static_cast<double>(one.micro_batch);
  const RankParameters p = rank_parameters(m, e);
  const double state = f32_bytes * (m.ema ? 9 : 7);  // read and written by AdamW: weight, gradient, moments, average
  return {.block = times * dit_block_cost(m, one, machine),
          .blocks = stage_blocks(m, e),
          .first = times * dit_ends_cost(m, one, machine),
          .stage_bytes = f32_bytes * DitShares(m, e).residual(),
          .gradient_bytes = f32_bytes * p.all(),
          .replicas = place_of(e.mesh, {Axis::dp, Axis::ring, Axis::ulysses}, machine.devices),
          .optimizer_bytes = (state + f32_bytes) * p.all() / replicas_sharing(e, 1),
          .optimizer_flops = muon_flops(m, e)};
}

void check_fits(const DitModel& m, const DitRun& run) {
  const WanTransformerConfig& c = m.transformer;
  const int64_t tp = run.mesh.size(Axis::tp), ep = run.mesh.size(Axis::ep), pp = run.mesh.size(Axis::pp);
  check(run.mesh.size(Axis::cfg) == 1, "plan: axis cfg divides guidance, which training does not have; leave it out");
  check(c.num_attention_heads % tp == 0 && c.ffn_dim % tp == 0,
        "plan: {} heads and a feed-forward width of {} cannot be shared by tp={}", c.num_attention_heads, c.ffn_dim,
        tp);
  check(ep == 1 || !m.turns, "plan: with experts.turns all but one of ep={} groups would be idle; use dp", ep);
  check(m.experts() % ep == 0, "plan: {} experts cannot be divided into ep={} groups", m.experts(), ep);
  check(pp * run.interleave <= c.num_layers, "plan: {} blocks for pp={} stages of interleave={} pieces", c.num_layers,
        pp, run.interleave);
  check(run.interleave == 1 || pp > 1, "plan: interleave={} needs a pipeline, but the mesh has pp=1", run.interleave);
  check(!run.sequence_parallel || tp > 1, "plan: sequence parallelism shares tokens over tp, but the mesh has tp=1");
  check(m.tokens >= run.mesh.size(Axis::ring) * run.mesh.size(Axis::ulysses),
        "plan: {} tokens for ring={} times ulysses={} ranks", m.tokens, run.mesh.size(Axis::ring),
        run.mesh.size(Axis::ulysses));
}

// The share of the samples that falls to each group.
std::vector<double> loads_of(const DitModel& m, int64_t groups) {
  std::vector<double> loads(groups, 0.0);
  for (int64_t i = 0; i < m.experts(); ++i) loads[i * groups / m.experts()] += m.shares[i];
  return loads;
}

std::vector<ExpertGroup> groups_of(const DitModel& m, const DitRun& run, const std::vector<double>& loads,
                                   const Mesh& mesh) {
  const auto each = static_cast<size_t>(m.experts()) / loads.size();
  std::vector<ExpertGroup> result;
  for (size_t g = 0; g < loads.size(); ++g) {
    ExpertGroup group{m,
                      {.interleave = run.interleave,
                       .order = run.order,
                       .recompute = run.recompute,
                       .recompute_every = run.recompute_every,
                       .sequence_parallel = run.sequence_parallel,
                       .zero = run.zero}};
    group.model.shares.assign(each, 1.0 / static_cast<double>(each));
    Execution& e = group.execution;
    e.mesh.sizes = run.mesh.sizes;
    e.mesh.sizes[static_cast<int>(Axis::ep)] = 1;
    e.mesh.sizes[static_cast<int>(Axis::dp)] = mesh.replicas()[g];
    constexpr double rounding = 1e-6;  // of shares that are fractions
    const double samples = std::ceil(static_cast<double>(run.batch) * loads[g] / e.size(Axis::dp) - rounding);
    e.micro_batch = std::min(run.micro_batch, std::max<int64_t>(1, static_cast<int64_t>(samples)));
    e.micro_batches = std::max<int64_t>(1, std::llround(std::ceil(samples / static_cast<double>(e.micro_batch))));
    check(e.interleave == 1 || e.micro_batches % e.mesh.size(Axis::pp) == 0,
          "plan: interleaved stages take micro-batches in rounds of pp={}, a step has {} of {} samples",
          e.mesh.size(Axis::pp), e.micro_batches, e.micro_batch);
    result.push_back(std::move(group));
  }
  return result;
}

}  // namespace

Plan plan_dit(const DitModel& m, const DitRun& run, const Machine& machine) {
  check_fits(m, run);
  check(run.zero < 3 || (run.recompute == Recompute::full && run.recompute_every == 1),
        "plan: --zero 3 gathers a block's weights when it runs and lets them go, so it goes with --recompute full");
  const std::vector<double> loads = loads_of(m, run.mesh.size(Axis::ep));
  const Mesh mesh(run.mesh, static_cast<int>(run.ranks), loads);
  Plan plan{.mesh = mesh.describe(), .ranks = run.ranks};
  for (const ExpertGroup& group : groups_of(m, run, loads, mesh)) {
    const Execution& e = group.execution;
    const MemoryPlan memory = memory_of(group.model, e);
    DitModel updated = group.model;  // by a step
    if (m.turns) updated.shares = {1};
    const TimePlan time = step_time(work_of(updated, e, machine), e, machine, m.compute);
    if (memory.peak() > plan.memory.peak()) plan.memory = memory;
    if (time.step() > plan.time.step()) {
      plan.time = time;
      plan.execution = e;
    }
  }
  plan.time.model_flops = dit_step_flops(m, static_cast<double>(run.batch), Recompute::off);
  plan.time.hardware_flops = dit_step_flops(m, static_cast<double>(run.batch), run.recompute, run.recompute_every);
  plan.peak_flops = machine.peak(m.compute) * static_cast<double>(run.ranks);
  return plan;
}

}  // namespace baton
