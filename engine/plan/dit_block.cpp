#include "engine/plan/dit_block.h"

#include "engine/plan/collective.h"
#include "engine/plan/dit_flops.h"
#include "engine/plan/dit_shares.h"

namespace baton {
namespace {

constexpr double gradient_traffic = 12;  // bytes: written, then added to its sum

class DitBlock {
 public:
  DitBlock(const DitModel& m, const Execution& e, const Machine& machine)
      : model_(m), execution_(e), machine_(machine), s_(m, e) {}

  PassCosts cost() const {
    const PassCosts attention = attention_cores(), out = product(s_.D, s_.F / s_.t);
    PassCosts block = products();
    block += out;
    block += attention;
    block += passes();
    block += tensor_parallel();
    const Cost once = block.forward;
    block += text();
    const double again = 1 / static_cast<double>(execution_.recompute_every);
    if (execution_.recompute == Recompute::full) block.backward += again * once;
    if (execution_.recompute == Recompute::selective) {
      block.backward += again * attention.forward;
      block.backward += again * out.forward;
    }
    if (execution_.zero == 3) gather_weights(block);
    return block;
  }

 private:
  PassCosts product(double out, double in) const {
    return linear_cost(machine_, model_.compute, {s_.b * s_.inside, out, in});
  }
  Cost pass(double bytes) const { return pass_cost(machine_, bytes); }
  Cost kernels(double count) const { return kernels_cost(machine_, count); }
  Cost collectives(double count) const { return collectives_cost(machine_, count); }
  double casts(double weights) const { return s_.bytes < f32_bytes ? weights : 0; }  // kernels

  // All but the second product of the feed-forward.
  PassCosts products() const {
    PassCosts sum = product(3 * s_.D / s_.t, s_.D);
    sum += product(s_.D, s_.D / s_.t);
    sum += product(s_.D / s_.t, s_.D);
    sum += product(s_.D, s_.D / s_.t);
    sum += product(s_.F / s_.t, s_.D);
    return sum;
  }

  PassCosts text() const {
    PassCosts sum = linear_cost(machine_, model_.compute, {s_.b * s_.L, 2 * s_.D / s_.t, s_.D});
    // Head norm, weights and biases joined; their gradients, added to those of earlier micro-batches.
    sum += {kernels(1 + 4 + casts(2)), kernels(5 + 5)};
    if (s_.t > 1) sum.backward += collectives(1);
    if (s_.t > 1) sum.backward.on(Axis::tp) += all_reduce_seconds(machine_, tp(), s_.bytes * s_.b * s_.L * s_.D);
    return sum;
  }

  // The two products run as tiles whose depth is the head's size; backward five of them instead of two.
  PassCosts attention(double queries, double keys) const {
    const double head = s_.D / s_.H, heads = s_.H / (s_.t * s_.u);
    Cost forward = gemm_cost(machine_, model_.compute, {queries, keys, head, 2 * s_.b * heads});
    return {.forward = forward, .backward = 2.5 * forward};
  }

  PassCosts attention_cores() const {
    PassCosts self = attention(s_.inside * s_.u, s_.whole);
    const double traded = s_.bytes * s_.column();
    const Place ulysses = place_of(execution_.mesh, {Axis::ulysses}, machine_.devices);
    for (Cost* direction : {&self.forward, &self.backward}) {
      direction->on(Axis::ulysses) += 4 * all_to_all_seconds(machine_, ulysses, traded);
      if (s_.u > 1) *direction += collectives(4);
    }
    travel(self, 2 * traded);
    // Queries of cross-attention stay where they are.
    const double heads = s_.H / s_.t;
    const Cost cross = gemm_cost(machine_, model_.compute, {s_.inside, s_.L, s_.D / s_.H, 2 * s_.b * heads});
    self += {.forward = cross, .backward = 2.5 * cross};
    return self;
  }

  // Each block of keys and values visits every rank of the ring, backward with its gradients in f32 behind it; the next
  // one comes while this one is worked on.
  void travel(PassCosts& self, double block) const {
    if (s_.r == 1) return;
    const bool within = place_of(execution_.mesh, {Axis::ring}, machine_.devices).in_node == s_.r;
    const double forward = (s_.r - 1) * send_seconds(machine_, within, block);
    const double sums = s_.r * send_seconds(machine_, within, block / s_.bytes * f32_bytes);
    self.forward.on(Axis::ring) += exposed(machine_, forward, self.forward.compute);
    self.backward.on(Axis::ring) += exposed(machine_, forward + sums, self.backward.compute);
    self.forward += collectives(s_.r - 1);
    self.backward += collectives(2 * s_.r - 1);
    self.forward += kernels(2 * (s_.r - 1));   // an attention core for each block, merged with the others
    self.backward += kernels(3 * (s_.r - 1));  // … with its two sums
  }

  // Bytes that the passes of the forward direction move; backward they read and write about twice as much.
  PassCosts passes() const {
    const double outside =
        3 * (f32_bytes + s_.bytes) + 3 * (2 * f32_bytes + s_.bytes);  // norms; additions to the residual
    const double inside = (3 + 2) * 2 * s_.bytes;                     // head norms, rotations
    const double bytes =
        outside * s_.residual() + inside * s_.column() + 2 * s_.bytes * s_.hidden();  // and the activation function
    const double weights = (8 * s_.D * s_.D + 2 * s_.D * s_.F) / s_.t;
    const double copies = s_.bytes < f32_bytes ? (f32_bytes + s_.bytes) * weights : 0;
    PassCosts sum{.forward = pass(bytes + copies), .backward = pass(2 * bytes + gradient_traffic * weights)};
    // Kernels besides products and attention cores. Forward: 6 norms, 2 rotations, GELU, 4 additions, weights and
    // biases of q, k, v joined. Backward: 6, 2, 1 and 2 again, 9 for what was joined, 25 sums over rows and of the
    // branches' gradients, and the gradients of 22 parameters added to those of earlier micro-batches.
    constexpr double forward = 6 + 2 + 1 + 4 + 6, backward = 6 + 2 + 1 + 2 + 9 + 25 + 22;
    sum += {kernels(forward + casts(8) - 1), kernels(backward + casts(8) - 1)};  // less the passes above
    return sum;
  }

  Place tp() const { return place_of(execution_.mesh, {Axis::tp}, machine_.devices); }

  PassCosts tensor_parallel() const {
    if (s_.t == 1) return {};
    const double bytes = s_.bytes * s_.entered();
    const double once = execution_.sequence_parallel ? 2 * gather_seconds(machine_, tp(), bytes)
                                                     : all_reduce_seconds(machine_, tp(), bytes);
    const double head_norms = 3 * all_reduce_seconds(machine_, tp(), f32_bytes * s_.b * s_.inside);
    const Cost started = collectives(execution_.sequence_parallel ? 9 : 6);
    PassCosts sum{started, started};
    sum.forward.on(Axis::tp) = 3 * once + head_norms;
    sum.backward.on(Axis::tp) = 3 * once + head_norms;
    return sum;
  }

  void gather_weights(PassCosts& block) const {
    const Place replicas = place_of(execution_.mesh, {Axis::dp, Axis::ring, Axis::ulysses}, machine_.devices);
    const double bytes = f32_bytes * parameters_of(model_.transformer).block() / s_.t;
    const double once = gather_seconds(machine_, replicas, bytes);
    block.forward.on(Axis::dp) += exposed(machine_, once, block.forward.compute);
    block.backward.on(Axis::dp) += exposed(machine_, 2 * once, block.backward.compute);
    block.forward += collectives(1);
    block.backward += collectives(2);
  }

  const DitModel& model_;
  const Execution& execution_;
  const Machine& machine_;
  DitShares s_;
};

}  // namespace

PassCosts dit_block_cost(const DitModel& m, const Execution& e, const Machine& machine) {
  return DitBlock(m, e, machine).cost();
}

PassCosts dit_ends_cost(const DitModel& m, const Execution& e, const Machine& machine) {
  const DitShares s(m, e);
  const WanTransformerConfig& c = m.transformer;
  const auto patch = static_cast<double>(c.patch_size[0] * c.patch_size[1] * c.patch_size[2]);
  const auto text_dim = static_cast<double>(c.text_dim);
  PassCosts sum;
  for (const Gemm& g : {Gemm{s.b * s.outside, s.D, static_cast<double>(c.in_channels) * patch},
                        Gemm{s.b * s.outside, static_cast<double>(c.out_channels) * patch, s.D},
                        Gemm{s.b * s.L, s.D, text_dim}, Gemm{s.b * s.L, s.D, s.D}, Gemm{s.b, 6 * s.D, s.D}})
    sum += linear_cost(machine, m.compute, g);
  sum.forward += pass_cost(machine, 3 * f32_bytes * s.residual());
  sum.backward += pass_cost(machine, 4 * f32_bytes * s.residual());
  // Noise, target and loss, patches, time, modulation, the last norm, copies of weights; and their gradients.
  sum += {kernels_cost(machine, 16), kernels_cost(machine, 40)};
  if (m.text_encoder) {
    const auto d = static_cast<double>(m.text_encoder->d_model);
    sum += linear_cost(machine, m.compute,
                       {s.b * s.L, parameters_of(*m.text_encoder).block_matrices / d, d});  // all layers as one product
    const auto layers = static_cast<double>(m.text_encoder->num_layers);
    sum += {layers * kernels_cost(machine, 16), layers * kernels_cost(machine, 38)};
  }
  return sum;
}

}  // namespace baton
