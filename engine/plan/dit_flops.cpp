#include "engine/plan/dit_flops.h"

namespace baton {

DitFlops dit_flops(const DitModel& m) {
  const WanTransformerConfig& c = m.transformer;
  const auto n = static_cast<double>(m.tokens), l = static_cast<double>(m.text_tokens);
  const auto d = static_cast<double>(c.inner_dim()), f = static_cast<double>(c.ffn_dim);
  const auto patch = static_cast<double>(c.patch_size[0] * c.patch_size[1] * c.patch_size[2]);
  const double ends = static_cast<double>(c.in_channels + c.out_channels) * patch * d;
  const double time = (static_cast<double>(c.freq_dim) + d + 6 * d) * d;
  return {.linear = 2 * n * (6 * d * d + 2 * d * f),
          .attention = 4 * n * n * d + 4 * n * l * d,
          .text = 2 * l * 2 * d * d,
          .outside = 2 * n * ends + 2 * l * (static_cast<double>(c.text_dim) + d) * d + 2 * time,
          .feed_forward_out = 2 * n * d * f};
}

double dit_step_flops(const DitModel& m, double samples, Recompute recompute, int64_t every) {
  const DitFlops flops = dit_flops(m);
  const auto blocks = static_cast<double>(m.transformer.num_layers);
  double sample = 3 * flops.forward(blocks);
  if (m.text_encoder)
    sample += 3 * 2 * static_cast<double>(m.text_tokens) * parameters_of(*m.text_encoder).block_matrices;
  const double again = blocks / static_cast<double>(every);
  if (recompute == Recompute::full) sample += again * (flops.linear + flops.attention);
  if (recompute == Recompute::selective) sample += again * (flops.attention + flops.feed_forward_out);
  return samples * sample;
}

}  // namespace baton
