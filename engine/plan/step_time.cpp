#include "engine/plan/step_time.h"

#include "engine/plan/schedule.h"

namespace baton {
namespace {

// Seconds of axis pp for a micro-batch: each piece of a stage waits for its input once in either direction.
double hand_over(const StepWork& work, const Execution& e, const Machine& machine) {
  if (e.size(Axis::pp) == 1) return 0;
  const bool within = place_of(e.mesh, {Axis::pp}, machine.devices).in_node == e.size(Axis::pp);
  double once = send_seconds(machine, within, work.stage_bytes);
  if (work.gather_bytes > 0)
    once += gather_seconds(machine, place_of(e.mesh, {Axis::tp}, machine.devices), work.gather_bytes);
  return 2 * static_cast<double>(e.interleave) * once;
}

double gradient_seconds(const StepWork& work, const Execution& e, const Machine& machine) {
  return e.zero == 0 ? all_reduce_seconds(machine, work.replicas, work.gradient_bytes)
                     : 2 * gather_seconds(machine, work.replicas, work.gradient_bytes);
}

const PassCosts& slower(const PassCosts& a, const PassCosts& b) { return a.seconds() > b.seconds() ? a : b; }

// What the slowest stage of p does besides the blocks.
PassCosts ends(const StepWork& work, double p) {
  if (p > 1) return slower(work.first, work.last);
  PassCosts both = work.first;
  return both += work.last;
}

}  // namespace

TimePlan step_time(const StepWork& work, const Execution& e, const Machine& machine, DType compute) {
  const double p = e.size(Axis::pp), m = static_cast<double>(e.micro_batches), v = static_cast<double>(e.interleave);
  PassCosts stage = work.blocks * work.block;
  const double backward = stage.backward.seconds();
  if (p > 1) stage += {collectives_cost(machine, v), collectives_cost(machine, v)};
  const double handed_over = hand_over(work, e, machine);
  const PassCosts outside = ends(work, p);

  TimePlan time;
  Cost busy;
  for (const Cost& part : {stage.forward, stage.backward, outside.forward, outside.backward}) {
    busy += m * part;
    time.host += m * part.waits();
  }
  time.compute = busy.compute;
  time.communication = busy.communication;
  time.communication[static_cast<int>(Axis::pp)] += m * handed_over;
  time.idle = (p - 1) / v * (stage.seconds() + handed_over);
  if (e.zero < 3)
    time.communication[static_cast<int>(Axis::dp)] += exposed(machine, gradient_seconds(work, e, machine), backward);
  time.optimizer = pass_cost(machine, work.optimizer_bytes).compute +
                   work.optimizer_flops / (machine.peak(compute) * machine.gemm_efficiency);
  return time;
}

}  // namespace baton
