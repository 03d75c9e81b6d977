#include "engine/plan/dit_activations.h"

#include <algorithm>

#include "engine/plan/dit_shares.h"

namespace baton {
namespace {

// Beside its input, a head norm keeps 1 / rms of each row.
double head_norm(double rows) { return f32_bytes * rows; }

// Keys and values of the text: their product, and the normalised key.
double text_key_value(const DitShares& s) {
  const double values = s.b * s.L * s.D / s.t;
  return 3 * s.bytes * values + head_norm(s.b * s.L);
}

// What selective recomputation computes again: norms and rotations of queries and keys, the attention cores, GeLU.
double self_attention_core(const DitShares& s) {
  const double lse = f32_bytes * s.column() / s.D * s.H;
  double kept = 2 * s.bytes * s.column() + 2 * head_norm(s.b * s.inside) + lse;
  if (s.u > 1) kept += 2 * s.bytes * s.column();                       // v and the result, traded
  if (s.u == 1 && s.r > 1) kept += s.bytes * s.column();               // v on its own
  if (s.r > 1 && s.bytes < f32_bytes) kept += f32_bytes * s.column();  // the merged result
  return kept;
}
double cross_attention_core(const DitShares& s) {
  return s.bytes * s.column() + head_norm(s.b * s.inside) + f32_bytes * s.column() / s.D * s.H;
}
double feed_forward_core(const DitShares& s) { return s.bytes * s.hidden(); }

// What is kept with selective recomputation as well.
double always_kept(const DitShares& s) {
  const double norms = 3 * (f32_bytes * s.residual() + 2 * f32_bytes * s.b * s.outside) + 3 * s.bytes * s.residual();
  const double branches = 2 * s.bytes * s.residual();               // before their gates
  const double attention = (3 + 1 + 1 + 1) * s.bytes * s.column();  // q k v, result; cross q, result
  return norms + branches + attention + s.bytes * s.hidden() + 6 * f32_bytes * s.b * s.D + text_key_value(s);
}

double values_out(const WanTransformerConfig& c) {  // of a token
  return static_cast<double>(c.out_channels * c.patch_size[0] * c.patch_size[1] * c.patch_size[2]);
}

// Norm and matrix after the blocks, prediction and target.
double last_layer(const DitModel& m, const DitShares& s) {
  return (f32_bytes + s.bytes) * s.residual() + 2 * f32_bytes * s.b * s.outside +
         2 * f32_bytes * s.b * s.whole * values_out(m.transformer);
}

}  // namespace

double dit_block_activations(const DitModel& m, const Execution& e, Recompute recompute) {
  const DitShares s(m, e);
  if (recompute == Recompute::full) return f32_bytes * s.residual() + text_key_value(s);
  if (recompute == Recompute::selective) return always_kept(s);
  return always_kept(s) + self_attention_core(s) + cross_attention_core(s) + feed_forward_core(s);
}

double dit_block_weight_copies(const DitModel& m, const Execution& e, Recompute recompute) {
  const DitShares s(m, e);
  const double square = s.D * s.D, text = 2 * square;
  if (recompute == Recompute::full) return s.bytes * text / s.t;
  if (s.bytes == f32_bytes) return f32_bytes * (3 * square + text) / s.t;  // q k v as one, k v of the text as one
  const double feed_forward = (recompute == Recompute::selective ? 1 : 2) * s.D * s.F;
  return s.bytes * (8 * square + feed_forward) / s.t;
}

double dit_activations_outside(const DitModel& m, const Execution& e) {
  const DitShares s(m, e);
  const WanTransformerConfig& c = m.transformer;
  const auto patch = static_cast<double>(c.patch_size[0] * c.patch_size[1] * c.patch_size[2]);
  const double in = static_cast<double>(c.in_channels) * patch, out = values_out(c);
  const auto text_dim = static_cast<double>(c.text_dim);
  const double picture = s.bytes * s.b * s.outside * in + last_layer(m, s);
  const double time = s.b * (f32_bytes * static_cast<double>(c.freq_dim) + (5 * f32_bytes + s.bytes) * s.D);
  const double text = s.bytes * s.b * s.L * (text_dim + 3 * s.D);
  const double weights = (in + out + text_dim + s.D + 6 * s.D) * s.D;
  return picture + time + text + (s.bytes < f32_bytes ? s.bytes * weights : 0);
}

double text_encoder_activations(const DitModel& m, const Execution& e) {
  if (!m.text_encoder) return 0;
  const T5EncoderConfig& c = *m.text_encoder;
  const double rows = static_cast<double>(e.micro_batch * m.text_tokens), bytes = m.bytes();
  const auto d = static_cast<double>(c.d_model), f = static_cast<double>(c.d_ff);
  const auto heads = static_cast<double>(c.num_heads), inner = heads * static_cast<double>(c.d_kv);
  const double block = rows * (2 * f32_bytes * d + 2 * bytes * d + 4 * bytes * inner + (c.gated ? 5 : 2) * bytes * f +
                               2 * f32_bytes + f32_bytes * heads);
  const double bias = f32_bytes * heads * static_cast<double>(m.text_tokens * m.text_tokens);
  const auto layers = static_cast<double>(c.num_layers);
  const double joined = 2 * d * inner + (c.gated ? 2 * d * f : 0);
  const double copies = bytes < f32_bytes ? bytes * parameters_of(c).block_matrices : f32_bytes * layers * joined;
  return layers * block + bias * (c.bias_in_every_layer ? layers : 1) + 3 * f32_bytes * rows * d + copies;
}

double dit_working(const DitModel& m, const Execution& e) {
  const DitShares s(m, e);
  // While the second matrix of the feed-forward goes back: gradients of the residual, of its input and of itself.
  double working = f32_bytes * s.residual() + s.bytes * s.hidden() + f32_bytes * s.D * s.F / s.t;
  // What is computed again, with its result.
  const auto again = [&](auto bytes_of) { return bytes_of(m, e, Recompute::off) - bytes_of(m, e, e.recompute); };
  if (e.recompute == Recompute::full) working += again(dit_block_activations) + f32_bytes * s.residual();
  if (e.recompute == Recompute::selective) working += feed_forward_core(s) + s.bytes * s.residual();
  working += again(dit_block_weight_copies);
  return std::max(0.0, working - last_layer(m, s));
}

}  // namespace baton
