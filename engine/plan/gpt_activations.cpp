#include "engine/plan/gpt_activations.h"

#include "engine/plan/schedule.h"

namespace baton {
namespace {

// One value of a micro-batch for each of its tokens and channels: s b h.
double values(const GptModel& m, const Execution& e) {
  return static_cast<double>(m.sequence) * static_cast<double>(e.micro_batch) * static_cast<double>(m.hidden);
}

}  // namespace

double gpt_layer_activations(const GptModel& m, const Execution& e, Recompute recompute) {
  const double t = e.size(Axis::tp), sbh = values(m, e);
  if (recompute == Recompute::full) return 2 * sbh;
  // Of the 34 bytes, 10 are outside the sharded matrices: the inputs of the norms (4) and of attention and
  // feed-forward (4), and two dropout masks (2).
  const double linear = e.sequence_parallel ? 34 / t : 10 + 24 / t;
  const double scores =
      5 * static_cast<double>(m.heads) * static_cast<double>(m.sequence) / static_cast<double>(m.hidden) / t;
  return sbh * (linear + (recompute == Recompute::selective ? 0 : scores));
}

double gpt_activations(const GptModel& m, const Execution& e, Recompute recompute) {
  return gpt_layer_activations(m, e, recompute) * static_cast<double>(m.layers) / e.size(Axis::pp) *
         micro_batches_in_flight(e);
}

double gpt_activations_outside(const GptModel& m, const Execution& e) {
  const double mask = values(m, e) / e.size(Axis::tp) * micro_batches_in_flight(e);
  if (e.size(Axis::pp) > 1) return mask;
  return mask +
         4 * values(m, e) / e.size(Axis::tp) * (1 + static_cast<double>(m.vocabulary) / static_cast<double>(m.hidden));
}

}  // namespace baton
