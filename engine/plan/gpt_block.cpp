#include "engine/plan/gpt_block.h"

#include <cmath>

#include "engine/plan/collective.h"

namespace baton {
namespace {

constexpr double half = 2, mask = 1;      // bytes of an activation and of a dropout mask
constexpr double f32_read_and_write = 8;  // a weight gradient added to its sum

// Megatron's fused kernel takes the softmax of so many heads at once, and gives way to four kernels more where the
// heads of a micro-batch are no multiple of that: scale, mask, to f32 and back.
constexpr double fused_softmax_heads = 4, unfused_softmax = 4;

class GptBlock {
 public:
  GptBlock(const GptModel& m, const Execution& e, const Machine& machine)
      : machine_(machine),
        execution_(e),
        t_(e.size(Axis::tp)),
        b_(static_cast<double>(e.micro_batch)),
        s_(static_cast<double>(m.sequence)),
        h_(static_cast<double>(m.hidden)),
        heads_(static_cast<double>(m.heads) / t_),
        head_dim_(h_ / static_cast<double>(m.heads)),
        tokens_(b_ * s_) {}

  PassCosts cost() const {
    const PassCosts core = attention();
    PassCosts block = matrices();
    block += core;
    block += passes();
    block += collectives();
    const Cost once = block.forward;
    if (execution_.recompute == Recompute::full) block.backward += once;
    if (execution_.recompute == Recompute::selective) block.backward += core.forward;
    if (execution_.zero == 3) gather_weights(block);
    return block;
  }

 private:
  Cost pass(double bytes) const { return pass_cost(machine_, bytes); }

  PassCosts matrices() const {
    PassCosts sum;
    for (const Gemm& g : {Gemm{tokens_, 3 * h_ / t_, h_}, Gemm{tokens_, h_, h_ / t_}, Gemm{tokens_, 4 * h_ / t_, h_},
                          Gemm{tokens_, h_, 4 * h_ / t_}})
      sum += linear_cost(machine_, DType::bf16, g);
    sum.backward += pass(f32_read_and_write * 12 * h_ * h_ / t_);
    constexpr double biases = 4, sums = 11;  // gradients of biases; all 12 added to their sums, but for the pass above
    sum.backward += kernels_cost(machine_, biases + sums);
    return sum;
  }

  // q k^T, scale and mask and softmax, dropout, times v.
  PassCosts attention() const {
    const double scores = b_ * heads_ * s_ * s_;
    PassCosts core = linear_cost(machine_, DType::bf16, {s_, s_, head_dim_, b_ * heads_});
    core += linear_cost(machine_, DType::bf16, {s_, head_dim_, s_, b_ * heads_});
    core.forward += pass((half + half) * scores);
    core.forward += pass((half + half + mask) * scores);
    core.backward += pass((half + half + half) * scores);
    core.backward += pass((half + half + mask) * scores);
    if (std::fmod(b_ * heads_, fused_softmax_heads) != 0) {
      core.forward += kernels_cost(machine_, unfused_softmax);
      core.backward += kernels_cost(machine_, unfused_softmax);
    }
    return core;
  }

  // Everything that only moves memory. Norms and dropout-adds see a share of the tokens under sequence parallelism.
  PassCosts passes() const {
    const double outside = tokens_ * h_ / (execution_.sequence_parallel ? t_ : 1), inside = tokens_ * h_ / t_;
    PassCosts sum;
    for (int i = 0; i < 2; ++i) {
      sum.forward += pass(2 * half * outside);           // norm
      sum.forward += pass((3 * half + mask) * outside);  // dropout, added to the residual
      sum.backward += pass(5 * half * outside);          // norm, added to the residual's gradient
      sum.backward += pass((2 * half + mask) * outside);
      sum.backward += kernels_cost(machine_, 3);  // two for the norm's weight and bias, one to add up the residual
    }
    sum.forward += pass(2 * half * 4 * inside);  // bias and GeLU
    sum.backward += pass(3 * half * 4 * inside);
    for (Cost* direction : {&sum.forward, &sum.backward}) {
      *direction += pass(2 * half * 3 * inside);  // q, k, v to heads
      *direction += pass(2 * half * inside);      // and back
    }
    sum.backward += kernels_cost(machine_, 1);  // gradients of q, k, v put together
    return sum;
  }

  // Two all-reduces each way, or with sequence parallelism as many pairs of gather and reduce-scatter, which move the
  // same bytes. Backward they run beside the product for the weight's gradient.
  PassCosts collectives() const {
    if (t_ == 1) return {};
    const Place place = place_of(execution_.mesh, {Axis::tp}, machine_.devices);
    const double bytes = half * tokens_ * h_;
    const double once = execution_.sequence_parallel ? 2 * gather_seconds(machine_, place, bytes)
                                                     : all_reduce_seconds(machine_, place, bytes);
    const double beside = gemm_cost(machine_, DType::bf16, {h_, 3.5 * h_ / t_, tokens_}).compute;  // mean of 3h and 4h
    const Cost started = collectives_cost(machine_, execution_.sequence_parallel ? 4 : 2);
    PassCosts sum{started, started};
    sum.forward.on(Axis::tp) = 2 * once;
    sum.backward.on(Axis::tp) = 2 * exposed(machine_, once, beside);
    return sum;
  }

  // ZeRO-3 gathers each of the four matrices for every pass, a recomputed one included, and scatters its gradient.
  // Nothing of that is taken to be hidden: what is published about such runs fits no prefetching.
  void gather_weights(PassCosts& sum) const {
    const Place place = place_of(execution_.mesh, {Axis::dp}, machine_.devices);
    const double backward = execution_.recompute == Recompute::full ? 3 : 2;
    for (const double squares : {3.0, 1.0, 4.0, 4.0}) {
      const double once = gather_seconds(machine_, place, half * squares * h_ * h_ / t_);
      sum.forward.on(Axis::dp) += once;
      sum.backward.on(Axis::dp) += backward * once;
      sum.forward += collectives_cost(machine_, 1);
      sum.backward += collectives_cost(machine_, backward);
    }
  }

  const Machine& machine_;
  const Execution& execution_;
  double t_, b_, s_, h_, heads_, head_dim_, tokens_;  // heads_: of this rank
};

double vocabulary_share(const GptModel& m, const Execution& e) {
  return static_cast<double>(m.vocabulary) / e.size(Axis::tp);
}

}  // namespace

PassCosts gpt_block_cost(const GptModel& m, const Execution& e, const Machine& machine) {
  return GptBlock(m, e, machine).cost();
}

PassCosts gpt_head_cost(const GptModel& m, const Execution& e, const Machine& machine) {
  const auto tokens = static_cast<double>(e.micro_batch * m.sequence), h = static_cast<double>(m.hidden);
  const double v = vocabulary_share(m, e);
  PassCosts head = linear_cost(machine, DType::bf16, {tokens, v, h});
  head.forward += pass_cost(machine, (half + 4 + 4) * tokens * v);   // logits to f32, softmax
  head.backward += pass_cost(machine, (4 + 4 + half) * tokens * v);  // its gradient, to 16 bit
  head.backward += pass_cost(machine, f32_read_and_write * v * h);
  // Norm, cross entropy step by step with the target's logit picked out, mean over what counts; and their gradients.
  head += {kernels_cost(machine, 23), kernels_cost(machine, 16)};
  if (e.size(Axis::tp) > 1) head += {collectives_cost(machine, 3), collectives_cost(machine, 1)};
  return head;
}

PassCosts gpt_embedding_cost(const GptModel& m, const Execution& e, const Machine& machine) {
  PassCosts embedding{
      .backward = pass_cost(machine, f32_read_and_write * vocabulary_share(m, e) * static_cast<double>(m.hidden))};
  // Masks and positions, two tables looked up, added, dropped out; and back, where tables sort their gradients first.
  embedding += {kernels_cost(machine, 13), kernels_cost(machine, 14)};
  if (e.size(Axis::tp) > 1) embedding.forward += collectives_cost(machine, 1);
  return embedding;
}

}  // namespace baton
