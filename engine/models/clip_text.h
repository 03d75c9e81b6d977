#pragma once

#include <memory>
#include <vector>

#include "engine/models/text_encoder.h"
#include "engine/ops/linear.h"

namespace baton {

// The keys of transformers' CLIPTextConfig that the states depend on.
struct ClipTextConfig {
  int64_t vocab_size = 49408;
  int64_t hidden_size = 512;
  int64_t intermediate_size = 2048;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 8;
  int64_t max_position_embeddings = 77;
  Activation hidden_act = Activation::quick_gelu;
  float layer_norm_eps = 1e-5f;
};

// transformers' CLIPTextModel: pre-norm blocks with causal attention; the states after the final norm
// (last_hidden_state).
//   Legend: B items, L tokens, D = hidden_size.
class ClipText : public TextEncoder {
 public:
  ClipText(const ClipTextConfig& config, ParameterSource& source, DType compute);
  ~ClipText() override;
  Tensor encode(const Tensor& ids, const Tensor& present) const override;
  int64_t width() const override { return config_.hidden_size; }

 private:
  class Block;
  ClipTextConfig config_;
  Tensor tokens_, positions_, final_weight_, final_bias_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace baton
