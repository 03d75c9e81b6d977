#pragma once

#include <memory>
#include <vector>

#include "engine/models/text_encoder.h"
#include "engine/ops/linear.h"

namespace baton {

// The keys of transformers' T5Config / UMT5Config that an encoder needs.
struct T5EncoderConfig {
  int64_t vocab_size = 32128;
  int64_t d_model = 512;
  int64_t d_kv = 64;
  int64_t d_ff = 2048;
  int64_t num_layers = 6;
  int64_t num_heads = 8;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  float layer_norm_epsilon = 1e-6f;
  bool gated = false;                        // feed_forward_proj "gated-…": act(x W0) * (x W1)
  Activation activation = Activation::relu;  // "relu", "gelu" (transformers' gelu_new when gated), "silu"
  bool bias_in_every_layer =
      false;  // UMT5: each layer has its own relative position bias; T5: the first layer's serves all
};

// transformers' T5EncoderModel and UMT5EncoderModel. Attention is not scaled; the relative position bias is added to
// its scores.
//   Legend: B items, L tokens, D = d_model, H heads.
class T5Encoder : public TextEncoder {
 public:
  T5Encoder(const T5EncoderConfig& config, ParameterSource& source, DType compute);
  ~T5Encoder() override;
  Tensor encode(const Tensor& ids, const Tensor& present) const override;
  int64_t width() const override { return config_.d_model; }
  const T5EncoderConfig& config() const { return config_; }

 private:
  class Block;
  T5EncoderConfig config_;
  DType compute_;
  Tensor embedding_, final_norm_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

// T5's bucket of each relative position key - query, bidirectional: [length, length] i32 in [0, buckets). Half of the
// buckets are for each sign; of these the first half is exact and the rest grows logarithmically up to max_distance.
Tensor t5_position_buckets(int64_t length, int64_t buckets, int64_t max_distance);

}  // namespace baton
