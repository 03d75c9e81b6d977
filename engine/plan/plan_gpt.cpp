#include "engine/plan/plan_gpt.h"

#include <algorithm>
#include <optional>

#include "engine/core/error.h"
#include "engine/plan/gpt_activations.h"
#include "engine/plan/gpt_block.h"
#include "engine/plan/schedule.h"
#include "engine/plan/step_time.h"

namespace baton {
namespace {

constexpr double weight_bytes = 2, gradient_bytes = 4, optimizer_bytes = 12;
// The update reads the gradient, reads and writes master weight and both moments, all in f32, and writes the weight;
// before that the gradient is read twice, for its norm and for infinities.
constexpr double update_traffic = 3 * 4 + 3 * 8 + weight_bytes;

void check_divides(const GptModel& m, const Execution& e) {
  const int tp = e.mesh.size(Axis::tp), pp = e.mesh.size(Axis::pp);
  for (const Axis axis : {Axis::ep, Axis::cfg, Axis::ring, Axis::ulysses})
    check(e.mesh.size(axis) == 1, "gpt: axis {} is for denoisers; a GPT is planned over tp, pp and dp", name(axis));
  check(m.heads % tp == 0, "gpt: heads={} cannot be shared by tp={}", m.heads, tp);
  check(m.layers % (pp * e.interleave) == 0,
        "gpt: layers={} cannot be divided into pp={} stages of interleave={} pieces", m.layers, pp, e.interleave);
  check(e.interleave == 1 || pp > 1, "gpt: interleave={} needs a pipeline, but the mesh has pp=1", e.interleave);
  check(e.interleave == 1 || e.micro_batches % pp == 0,
        "gpt: interleaved stages take micro-batches in rounds of pp={}, a step has {}", pp, e.micro_batches);
  check(!e.sequence_parallel || tp > 1, "gpt: sequence parallelism shares tokens over tp, but the mesh has tp=1");
}

double share_of_blocks(const GptModel& m, const Execution& e) {
  return m.block_parameters() * static_cast<double>(m.layers) / (e.size(Axis::tp) * e.size(Axis::pp));
}

double share_of_embedding(const GptModel& m, const Execution& e) {
  return static_cast<double>(m.vocabulary) * static_cast<double>(m.hidden) / e.size(Axis::tp);
}

double ranks_sharing(const Execution& e, int64_t from_stage) { return e.zero >= from_stage ? e.size(Axis::dp) : 1; }

MemoryPlan memory_of(const GptModel& m, const Execution& e) {
  const double parameters = share_of_blocks(m, e);
  const double message = 2 * static_cast<double>(m.sequence * e.micro_batch) * static_cast<double>(m.hidden);
  MemoryPlan memory{.weights = weight_bytes * parameters / ranks_sharing(e, 3),
                    .gradients = gradient_bytes * parameters / ranks_sharing(e, 2),
                    .optimizer = optimizer_bytes * parameters / ranks_sharing(e, 1),
                    .activations = gpt_activations(m, e, e.recompute),
                    .activations_outside = gpt_activations_outside(m, e)};
  memory.state_outside =
      share_of_embedding(m, e) * (weight_bytes / ranks_sharing(e, 3) + gradient_bytes / ranks_sharing(e, 2) +
                                  optimizer_bytes / ranks_sharing(e, 1));
  for (const Recompute mode : {Recompute::off, Recompute::selective, Recompute::full})
    memory.activations_if[static_cast<int>(mode)] = gpt_activations(m, e, mode);
  memory.working = gpt_layer_activations(m, e, Recompute::off) - gpt_layer_activations(m, e, e.recompute);
  if (e.zero == 3)
    memory.compute_weights = 2 * weight_bytes * m.block_parameters() / e.size(Axis::tp);  // this layer, next
  if (e.size(Axis::tp) > 1) memory.buffers += message;
  if (e.size(Axis::pp) > 1) memory.buffers += 2 * message;
  return memory;
}

StepWork work_of(const GptModel& m, const Execution& e, const Machine& machine) {
  const double t = e.size(Axis::tp), tokens = static_cast<double>(m.sequence * e.micro_batch);
  const double message = 2 * tokens * static_cast<double>(m.hidden);
  const double parameters = share_of_blocks(m, e) + share_of_embedding(m, e);
  return {.block = gpt_block_cost(m, e, machine),
          .blocks = static_cast<double>(m.layers) / e.size(Axis::pp),
          .first = gpt_embedding_cost(m, e, machine),
          .last = gpt_head_cost(m, e, machine),
          .stage_bytes = message / t,  // each rank of tp sends its share (Narayanan et al. 2021, section 4.1)
          .gather_bytes = e.sequence_parallel ? 0 : message,
          .gradient_bytes = gradient_bytes * parameters,
          .replicas = place_of(e.mesh, {Axis::dp}, machine.devices),
          .optimizer_bytes = update_traffic * parameters / ranks_sharing(e, 1)};
}

double hardware_flops(const GptModel& m, Recompute recompute, double batch) {
  if (recompute == Recompute::full) return m.hardware_flops_full(batch);
  return recompute == Recompute::selective ? m.hardware_flops_selective(batch) : m.model_flops(batch);
}

}  // namespace

Plan plan_gpt(const GptModel& m, const Execution& e, const Machine& machine) {
  check_divides(m, e);
  const double batch = static_cast<double>(e.micro_batch * e.micro_batches) * e.size(Axis::dp);
  Plan plan{.mesh = to_string(e.mesh), .execution = e, .ranks = e.mesh.ranks(), .memory = memory_of(m, e)};
  plan.time = step_time(work_of(m, e, machine), e, machine, DType::bf16);
  plan.time.model_flops = m.model_flops(batch);
  plan.time.hardware_flops = hardware_flops(m, e.recompute, batch);
  plan.peak_flops = machine.matrix_16bit * static_cast<double>(plan.ranks);
  return plan;
}

Execution with_best_micro_batch(const GptModel& m, Execution e, int64_t batch, const Machine& machine) {
  std::optional<Plan> best;
  for (int64_t b = 1; b <= batch && batch % b == 0; b *= 2) {
    e.micro_batch = b;
    e.micro_batches = batch / b;
    if (e.interleave > 1 && e.micro_batches % e.mesh.size(Axis::pp) != 0) continue;
    const Plan plan = plan_gpt(m, e, machine);
    if (!plan.fits(machine) && b > 1) continue;
    if (!best || !best->fits(machine) || plan.time.step() < best->time.step()) best = plan;
  }
  return best ? best->execution : e;
}

}  // namespace baton
