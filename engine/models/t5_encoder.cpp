#include "engine/models/t5_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
namespace {

int32_t bucket(int64_t relative, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2, exact = half / 2;
  const int64_t sign = relative > 0 ? half : 0, distance = std::abs(relative);
  if (distance < exact) return static_cast<int32_t>(sign + distance);
  // float arithmetic as in transformers: the bucket at an exact power would differ in double
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  const int64_t large = exact + static_cast<int64_t>(ratio * static_cast<float>(half - exact));
  return static_cast<int32_t>(sign + std::min(large, half - 1));
}

}  // namespace

Tensor t5_position_buckets(int64_t length, int64_t buckets, int64_t max_distance) {
  std::vector<int32_t> table(length * length);
  for (int64_t query = 0; query < length; ++query)
    for (int64_t key = 0; key < length; ++key) table[query * length + key] = bucket(key - query, buckets, max_distance);
  return Tensor::from_ids(table, {length, length});
}

// Initial values follow transformers' T5 with factor 1: standard deviations that keep an unscaled attention in range.
class T5Encoder::Block {
 public:
  Block(const Scope& scope, const T5EncoderConfig& c, DType compute, bool has_bias)
      : config_(c),
        compute_(compute),
        q_(scope / "layer" / 0 / "SelfAttention" / "q", c.d_model, inner(c),
           {.bias = false, .init = deviation(1 / std::sqrt(static_cast<double>(c.d_model * c.d_kv)))}),
        kv_(scope / "layer" / 0 / "SelfAttention", {"k", "v"}, c.d_model, inner(c),
            {.bias = false, .init = deviation(1 / std::sqrt(static_cast<double>(c.d_model)))}),
        o_(scope / "layer" / 0 / "SelfAttention" / "o", inner(c), c.d_model,
           {.bias = false, .init = deviation(1 / std::sqrt(static_cast<double>(inner(c))))}),
        wi_(scope / "layer" / 1 / "DenseReluDense",
            c.gated ? std::vector<std::string>{"wi_0", "wi_1"} : std::vector<std::string>{"wi"}, c.d_model, c.d_ff,
            {.bias = false, .init = deviation(1 / std::sqrt(static_cast<double>(c.d_model)))}),
        wo_(scope / "layer" / 1 / "DenseReluDense" / "wo", c.d_ff, c.d_model,
            {.bias = false, .init = deviation(1 / std::sqrt(static_cast<double>(c.d_ff)))}) {
    attention_norm_ = (scope / "layer" / 0 / "layer_norm").parameter("weight", {c.d_model}, Init::constant(1));
    ffn_norm_ = (scope / "layer" / 1 / "layer_norm").parameter("weight", {c.d_model}, Init::constant(1));
    if (has_bias)
      bias_table_ = (scope / "layer" / 0 / "SelfAttention" / "relative_attention_bias")
                        .parameter("weight", {c.relative_attention_num_buckets, c.num_heads},
                                   deviation(1 / std::sqrt(static_cast<double>(c.d_model))));
  }

  Tensor position_bias(const Tensor& buckets) const {  // [H, L, L]
    return permute(embedding(buckets, bias_table_, DType::f32), {2, 0, 1});
  }
  bool has_bias() const { return bias_table_.defined(); }

  Tensor operator()(const Tensor& x, const Tensor& bias, const Tensor& present) const {  // x [B, L, D] f32
    const Tensor normed = rms_norm(x, attention_norm_, config_.layer_norm_epsilon, compute_);
    const Tensor q = split_heads(q_(normed), config_.num_heads);
    const auto kv = split(kv_(normed), {inner(config_), inner(config_)}, -1);
    const Tensor k = split_heads(kv[0], config_.num_heads), v = split_heads(kv[1], config_.num_heads);
    const Tensor attended = attention(q, k, v, {.scale = 1, .bias = bias, .key_count = present});
    const Tensor y = x + o_(merge_heads(attended));
    return y + feed_forward(rms_norm(y, ffn_norm_, config_.layer_norm_epsilon, compute_));
  }

 private:
  static int64_t inner(const T5EncoderConfig& c) { return c.num_heads * c.d_kv; }
  static Init deviation(double value) { return Init::normal(static_cast<float>(value)); }

  Tensor feed_forward(const Tensor& x) const {
    if (!config_.gated) return wo_(wi_(x, config_.activation));
    const auto parts = split(wi_(x), {config_.d_ff, config_.d_ff}, -1);
    return wo_(activate(contiguous(parts[0]), config_.activation) * parts[1]);
  }

  T5EncoderConfig config_;
  DType compute_;
  Linear q_, kv_, o_, wi_, wo_;
  Tensor attention_norm_, ffn_norm_;  // [D]
  Tensor bias_table_;                 // [buckets, H] or undefined
};

T5Encoder::T5Encoder(const T5EncoderConfig& config, ParameterSource& source, DType compute)
    : config_(config), compute_(compute) {
  const Scope root(source, parameters_), encoder = root / "encoder";
  embedding_ = (root / "shared").parameter("weight", {config.vocab_size, config.d_model}, Init::normal(1));
  for (int64_t i = 0; i < config.num_layers; ++i)
    blocks_.push_back(
        std::make_unique<Block>(encoder / "block" / i, config, compute, i == 0 || config.bias_in_every_layer));
  final_norm_ = (encoder / "final_layer_norm").parameter("weight", {config.d_model}, Init::constant(1));
}

T5Encoder::~T5Encoder() = default;

Tensor T5Encoder::encode(const Tensor& ids, const Tensor& present) const {
  require(ids.rank() == 2 && ids.dim(1) > 0, "t5: ids {}, expected [B, L] with L > 0", ids.shape());
  check_token_ids(ids, config_.vocab_size, std::numeric_limits<int64_t>::max());
  const Tensor buckets =
      t5_position_buckets(ids.dim(1), config_.relative_attention_num_buckets, config_.relative_attention_max_distance);
  Tensor x = embedding(ids, embedding_, DType::f32), bias;
  for (const auto& block : blocks_) {
    if (block->has_bias()) bias = block->position_bias(buckets);
    x = (*block)(x, bias, present);
  }
  return rms_norm(x, final_norm_, config_.layer_norm_epsilon);
}

}  // namespace baton
