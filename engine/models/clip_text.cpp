#include "engine/models/clip_text.h"

#include "engine/core/require.h"
#include "engine/models/input_sizes.h"
#include "engine/nn/attention.h"
#include "engine/nn/linear.h"
#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/embedding.h"
#include "engine/ops/norm.h"
#include "engine/ops/view.h"

namespace baton {

class ClipText::Block {
 public:
  Block(const Scope& scope, const ClipTextConfig& c, DType compute)
      : heads_(c.num_attention_heads),
        eps_(c.layer_norm_eps),
        activation_(c.hidden_act),
        compute_(compute),
        qkv_(scope / "self_attn", {"q_proj", "k_proj", "v_proj"}, c.hidden_size, c.hidden_size, {}),
        out_(scope / "self_attn" / "out_proj", c.hidden_size, c.hidden_size),
        fc1_(scope / "mlp" / "fc1", c.hidden_size, c.intermediate_size),
        fc2_(scope / "mlp" / "fc2", c.intermediate_size, c.hidden_size),
        norm1_(norm(scope / "layer_norm1", c)),
        norm2_(norm(scope / "layer_norm2", c)) {}

  Tensor operator()(const Tensor& x, const Tensor& present) const {  // [B, L, D] f32
    const int64_t d = x.dim(-1);
    const auto qkv = split(qkv_(layer_norm(x, norm1_[0], norm1_[1], eps_, compute_)), {d, d, d}, -1);
    const Tensor attended = attention(split_heads(qkv[0], heads_), split_heads(qkv[1], heads_),
                                      split_heads(qkv[2], heads_), {.causal = true, .key_count = present});
    const Tensor y = x + out_(merge_heads(attended));
    return y + fc2_(fc1_(layer_norm(y, norm2_[0], norm2_[1], eps_, compute_), activation_));
  }

  static std::vector<Tensor> norm(const Scope& scope, const ClipTextConfig& c) {
    return {scope.parameter("weight", {c.hidden_size}, Init::constant(1)),
            scope.parameter("bias", {c.hidden_size}, Init::constant(0))};
  }

 private:
  int64_t heads_;
  float eps_;
  Activation activation_;
  DType compute_;
  Linear qkv_, out_, fc1_, fc2_;
  std::vector<Tensor> norm1_, norm2_;  // weight, bias [D]
};

ClipText::ClipText(const ClipTextConfig& config, ParameterSource& source, DType compute) : config_(config) {
  const Scope root(source, parameters_);
  tokens_ = (root / "embeddings" / "token_embedding")
                .parameter("weight", {config.vocab_size, config.hidden_size}, Init::normal(0.02f));
  positions_ = (root / "embeddings" / "position_embedding")
                   .parameter("weight", {config.max_position_embeddings, config.hidden_size}, Init::normal(0.02f));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    blocks_.push_back(std::make_unique<Block>(root / "encoder" / "layers" / i, config, compute));
  const auto norm = Block::norm(root / "final_layer_norm", config);
  final_weight_ = norm[0];
  final_bias_ = norm[1];
}

ClipText::~ClipText() = default;

Tensor ClipText::encode(const Tensor& ids, const Tensor& present) const {
  require(ids.rank() == 2, "clip: ids {}, expected [B, L]", ids.shape());
  check_token_ids(ids, config_.vocab_size, config_.max_position_embeddings);
  Tensor x = embedding(ids, tokens_, DType::f32) + cast(narrow(positions_, 0, 0, ids.dim(1)), DType::f32);
  for (const auto& block : blocks_) x = (*block)(x, present);
  return layer_norm(x, final_weight_, final_bias_, config_.layer_norm_eps);
}

}  // namespace baton
