#include "engine/plan/dit_model.h"

namespace baton {

DitParameters parameters_of(const WanTransformerConfig& c) {
  const auto d = static_cast<double>(c.inner_dim()), f = static_cast<double>(c.ffn_dim);
  const auto patch = static_cast<double>(c.patch_size[0] * c.patch_size[1] * c.patch_size[2]);
  const double in = static_cast<double>(c.in_channels) * patch, out = static_cast<double>(c.out_channels) * patch;
  const double time = (static_cast<double>(c.freq_dim) + 1) * d + (d + 1) * d + (d + 1) * 6 * d;
  const double text = (static_cast<double>(c.text_dim) + 1) * d + (d + 1) * d;
  return {.block_matrices = 8 * d * d + 2 * d * f,  // q, k, v, out, cross q, k, v, out; feed-forward
          .block_sharded = 6 * d + f + 4 * d,       // biases of q, k, v twice and of the first feed-forward; head norms
          .block_whole = 3 * d + 6 * d + (c.cross_attn_norm ? 2 * d : 0),  // biases after sums, modulation, norm
          .outside = (in + 1) * d + time + text + (d + 1) * out + 2 * d};
}

TextEncoderParameters parameters_of(const T5EncoderConfig& c) {
  const auto d = static_cast<double>(c.d_model), inner = static_cast<double>(c.num_heads * c.d_kv);
  const auto layers = static_cast<double>(c.num_layers);
  const double feed_forward = (c.gated ? 3 : 2) * d * static_cast<double>(c.d_ff);
  const double bias = static_cast<double>(c.relative_attention_num_buckets * c.num_heads);
  return {.block_matrices = layers * (4 * d * inner + feed_forward),
          .others =
              static_cast<double>(c.vocab_size) * d + layers * 2 * d + d + bias * (c.bias_in_every_layer ? layers : 1)};
}

}  // namespace baton
