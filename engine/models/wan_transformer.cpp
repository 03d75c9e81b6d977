#include "engine/models/wan_transformer.h"

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/require.h"
#include "engine/models/input_sizes.h"
#include "engine/nn/attention.h"
#include "engine/nn/head_norm.h"
#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/embedding.h"
#include "engine/ops/norm.h"
#include "engine/ops/reduce.h"
#include "engine/ops/rope.h"
#include "engine/ops/view.h"
#include "engine/parallel/pipeline.h"

namespace baton {
namespace {

using Rotation = std::array<Tensor, 2>;  // cos, sin [N, d/2]

// Row `index` of a modulation table [B, rows, D], as [B, D].
Tensor row(const Tensor& table, int64_t index) {
  return reshape(narrow(table, 1, index, 1), {table.dim(0), table.dim(2)});
}

std::vector<int64_t> common_divisors(int64_t a, int64_t b) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= a; ++d)
    if (a % d == 0 && b % d == 0) divisors.push_back(d);
  return divisors;
}

void fill_axis(std::vector<float>& cos, std::vector<float>& sin, int64_t pairs, int64_t offset, int64_t half,
               int64_t position, int64_t token) {
  for (int64_t i = 0; i < pairs; ++i) {
    const double angle =
        static_cast<double>(position) / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(pairs));
    cos[token * half + offset + i] = static_cast<float>(std::cos(angle));
    sin[token * half + offset + i] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace

std::array<Tensor, 2> wan_rope_table(int64_t head_dim, int64_t frames, int64_t rows, int64_t columns) {
  const int64_t half = head_dim / 2, pairs = head_dim / 6, frame_pairs = half - 2 * pairs;
  const int64_t tokens = frames * rows * columns;
  std::vector<float> cos(tokens * half), sin(tokens * half);
  for (int64_t token = 0; token < tokens; ++token) {
    const int64_t column = token % columns, r = token / columns % rows, frame = token / columns / rows;
    fill_axis(cos, sin, frame_pairs, 0, half, frame, token);
    fill_axis(cos, sin, pairs, frame_pairs, half, r, token);
    fill_axis(cos, sin, pairs, frame_pairs + pairs, half, column, token);
  }
  return {Tensor::from(cos, {tokens, half}), Tensor::from(sin, {tokens, half})};
}

WanConditions behind(Cut& cut, WanConditions c) {
  c.time = cut(c.time);
  c.modulation = cut(c.modulation);
  for (Tensor& key : c.text.key) key = cut(key);
  for (Tensor& value : c.text.value) value = cut(value);
  return c;
}

// Modulated self-attention, cross-attention to the text, modulated feed-forward.
class WanTransformer::Block {
 public:
  Block(const Scope& scope, const WanTransformerConfig& c, DType compute)
      : head_dim_(c.attention_head_dim),
        eps_(c.eps),
        compute_(compute),
        self_qkv_(scope / "attn1", {"to_q", "to_k", "to_v"}, c.inner_dim(), c.inner_dim(), {.shard = Shard::column}),
        self_out_(scope / "attn1" / "to_out" / 0, c.inner_dim(), c.inner_dim(), {.shard = Shard::row}),
        cross_q_(scope / "attn2" / "to_q", c.inner_dim(), c.inner_dim(), {.shard = Shard::column}),
        cross_kv_(scope / "attn2", {"to_k", "to_v"}, c.inner_dim(), c.inner_dim(), {.shard = Shard::column}),
        cross_out_(scope / "attn2" / "to_out" / 0, c.inner_dim(), c.inner_dim(), {.shard = Shard::row}),
        ffn_in_(scope / "ffn" / "net" / 0 / "proj", c.inner_dim(), c.ffn_dim, {.shard = Shard::column}),
        ffn_out_(scope / "ffn" / "net" / 2, c.ffn_dim, c.inner_dim(), {.shard = Shard::row}),
        self_norm_q_(scope / "attn1" / "norm_q", c.inner_dim(), c.eps),
        self_norm_k_(scope / "attn1" / "norm_k", c.inner_dim(), c.eps),
        cross_norm_q_(scope / "attn2" / "norm_q", c.inner_dim(), c.eps),
        cross_norm_k_(scope / "attn2" / "norm_k", c.inner_dim(), c.eps) {
    const int64_t d = c.inner_dim();
    if (c.cross_attn_norm) {
      norm2_weight_ = (scope / "norm2").parameter("weight", {d}, Init::constant(1));
      norm2_bias_ = (scope / "norm2").parameter("bias", {d}, Init::constant(0));
    }
    scale_shift_table_ =
        scope.parameter("scale_shift_table", {1, 6, d}, Init::normal(1 / std::sqrt(static_cast<float>(d))));
  }

  std::array<Tensor, 2> text_key_value(const Tensor& text,
                                       const Sequence& tokens) const {  // [B, L, D] -> two of [B, L, H, d]
    const Tensor kv = cross_kv_(text, tokens);
    const int64_t d = kv.dim(-1) / 2;
    const auto parts = split(kv, {d, d}, -1);
    return {heads(cross_norm_k_(parts[0])), heads(parts[1])};
  }

  // x [B, N, D] f32, modulation [B, 6, D] f32
  Tensor operator()(Tensor x, const Tensor& modulation, const Tensor& key, const Tensor& value, const Tensor& count,
                    const Rotation& rotation, const Sequence& tokens, Recompute mode) const {
    const Tensor table = scale_shift_table_ + modulation;
    const Tensor normed = modulated_norm(x, row(table, 1), row(table, 0), eps_, compute_);
    x = gated_add(x, row(table, 2), self_attention(normed, rotation, tokens, mode));
    x = x + cross_attention(x, key, value, count, tokens, mode);
    const Tensor ffn_input = modulated_norm(x, row(table, 4), row(table, 3), eps_, compute_);
    return gated_add(x, row(table, 5), feed_forward(ffn_input, tokens, mode));
  }

  void prepare() const {
    for (const Linear* l : {&self_qkv_, &self_out_, &cross_q_, &cross_kv_, &cross_out_, &ffn_in_, &ffn_out_})
      l->prepare(compute_);
  }

 private:
  Tensor heads(const Tensor& x) const { return split_heads(x, x.dim(2) / head_dim_); }

  Tensor self_attention(const Tensor& x, const Rotation& rotation, const Sequence& tokens, Recompute mode) const {
    const auto core = [this, rotation, tokens](std::span<const Tensor> in) -> std::vector<Tensor> {
      const int64_t d = in[0].dim(-1) / 3;
      const auto qkv = split(in[0], {d, d, d}, -1);
      const Tensor q = rope(heads(self_norm_q_(qkv[0])), rotation[0], rotation[1]);
      const Tensor k = rope(heads(self_norm_k_(qkv[1])), rotation[0], rotation[1]);
      return {merge_heads(tokens.attention(q, k, heads(qkv[2])))};
    };
    return self_out_(region(core, {self_qkv_(x, tokens)}, mode), tokens);
  }

  Tensor cross_attention(const Tensor& x, const Tensor& key, const Tensor& value, const Tensor& count,
                         const Sequence& tokens, Recompute mode) const {
    const Tensor normed = norm2_weight_ ? layer_norm(x, norm2_weight_, norm2_bias_, eps_, compute_) : cast(x, compute_);
    const auto core = [this, count](std::span<const Tensor> in) -> std::vector<Tensor> {
      return {merge_heads(attention(heads(cross_norm_q_(in[0])), in[1], in[2], {.key_count = count}))};
    };
    return cross_out_(region(core, {cross_q_(normed, tokens), key, value}, mode), tokens);
  }

  Tensor feed_forward(const Tensor& x, const Sequence& tokens, Recompute mode) const {
    if (mode != Recompute::selective) return ffn_out_(ffn_in_(x, Activation::gelu_tanh, tokens), tokens);
    const auto tail = [this, tokens](std::span<const Tensor> in) -> std::vector<Tensor> {
      return {ffn_out_(gelu_tanh(in[0]), tokens)};
    };
    return recompute(tail, {ffn_in_(x, tokens)})[0];
  }

  static Tensor region(const Region& core, std::vector<Tensor> inputs, Recompute mode) {
    return mode == Recompute::selective ? recompute(core, std::move(inputs))[0] : core(inputs)[0];
  }

  int64_t head_dim_;
  float eps_;
  DType compute_;
  Linear self_qkv_, self_out_, cross_q_, cross_kv_, cross_out_, ffn_in_, ffn_out_;
  HeadNorm self_norm_q_, self_norm_k_, cross_norm_q_, cross_norm_k_;
  Tensor norm2_weight_, norm2_bias_;  // [D]
  Tensor scale_shift_table_;          // [1, 6, D]
};

WanTransformer::WanTransformer(const WanTransformerConfig& config, ParameterSource& source, DType compute,
                               const Layout& layout)
    : config_(config), compute_(compute), layout_(layout), stages_(layout, config.num_layers) {
  const int tp = layout.on(Axis::tp).size();
  check(config.num_attention_heads % tp == 0 && config.ffn_dim % tp == 0,
        "denoiser: {} heads and a feed-forward width of {} cannot be shared by tp={}; sizes that fit are {}",
        config.num_attention_heads, config.ffn_dim, tp,
        fmt::join(common_divisors(config.num_attention_heads, config.ffn_dim), ", "));
  const Scope root(source, parameters_, layout), embedder = (root / "condition_embedder").on_every_stage();
  const int64_t d = config.inner_dim(), patch = config.patch_size[0] * config.patch_size[1] * config.patch_size[2];
  const auto linear = [](const Scope& scope, int64_t in, int64_t out, Linear::Options options = {}) {
    return std::make_unique<Linear>(scope, in, out, options);
  };
  if (stages_.has(0))
    patch_embedding_ = linear(
        root / "patch_embedding", config.in_channels * patch, d,
        {.stored_shape = {d, config.in_channels, config.patch_size[0], config.patch_size[1], config.patch_size[2]}});
  time_linear_1_ = linear(embedder / "time_embedder" / "linear_1", config.freq_dim, d);
  time_linear_2_ = linear(embedder / "time_embedder" / "linear_2", d, d);
  time_proj_ = linear(embedder / "time_proj", d, 6 * d);
  text_linear_1_ = linear(embedder / "text_embedder" / "linear_1", config.text_dim, d);
  text_linear_2_ = linear(embedder / "text_embedder" / "linear_2", d, d);
  for (int64_t i = 0; i < config.num_layers; ++i)
    blocks_.push_back(stages_.has_block(i) ? std::make_unique<Block>(root / "blocks" / i, config, compute) : nullptr);
  if (stages_.has_last()) {
    proj_out_ = linear(root / "proj_out", d, config.out_channels * patch);
    scale_shift_table_ =
        root.parameter("scale_shift_table", {1, 2, d}, Init::normal(1 / std::sqrt(static_cast<float>(d))));
  }
}

WanTransformer::~WanTransformer() = default;

void WanTransformer::prepare() const {
  for (const auto& block : blocks_)
    if (block) block->prepare();
}

TextContext WanTransformer::encode_text(const Tensor& states, const Tensor& count) const {
  require(states.rank() == 3 && states.dim(-1) == config_.text_dim,
          "denoiser: text states {} do not end in text_dim {}", states.shape(), config_.text_dim);
  TextContext context{.count = count};
  const Sequence tokens = Sequence::of_text(layout_, states.dim(1));
  const Tensor mine = tokens.mine(cast(states, compute_));
  const Tensor text = (*text_linear_2_)((*text_linear_1_)(mine, Activation::gelu_tanh));  // [B, L, D]
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    const auto [key, value] = blocks_[i] ? text_key_value(i, text, tokens) : std::array<Tensor, 2>();
    context.key.push_back(key);
    context.value.push_back(value);
  }
  return context;
}

// Where weights are there only while their block runs, this must run again for the backward pass.
std::array<Tensor, 2> WanTransformer::text_key_value(int64_t index, const Tensor& text, const Sequence& tokens) const {
  const auto run = [&block = *blocks_[index], tokens, around = around_block_, index](std::span<const Tensor> in) {
    const std::shared_ptr<void> held = around ? around(index) : nullptr;
    const auto [key, value] = block.text_key_value(in[0], tokens);
    return std::vector{key, value};
  };
  const std::vector<Tensor> both = around_block_ ? recompute(run, {text}) : run(std::span(&text, 1));
  return {both[0], both[1]};
}

Tensor WanTransformer::patchify(const Tensor& latents) const {
  const auto [pf, ph, pw] = config_.patch_size;
  const int64_t b = latents.dim(0), c = latents.dim(1), f = latents.dim(2) / pf, h = latents.dim(3) / ph,
                w = latents.dim(4) / pw;
  const Tensor cells = permute(reshape(latents, {b, c, f, pf, h, ph, w, pw}), {0, 2, 4, 6, 1, 3, 5, 7});
  return reshape(cells, {b, f * h * w, c * pf * ph * pw});
}

Tensor WanTransformer::unpatchify(const Tensor& tokens, const Shape& latents) const {
  const auto [pf, ph, pw] = config_.patch_size;
  const int64_t b = latents[0], c = config_.out_channels, f = latents[2] / pf, h = latents[3] / ph, w = latents[4] / pw;
  const Tensor cells = permute(reshape(tokens, {b, f, h, w, pf, ph, pw, c}), {0, 7, 1, 4, 2, 5, 3, 6});
  return reshape(cells, {b, c, f * pf, h * ph, w * pw});
}

std::array<int64_t, 3> WanTransformer::grid_of(const Shape& latents) const {
  std::array<int64_t, 3> grid;
  for (int i = 0; i < 3; ++i) grid[i] = latents[i + 2] / config_.patch_size[i];
  return grid;
}

Shape WanTransformer::between(const Shape& latents) const {
  const auto [frames, rows, columns] = grid_of(latents);
  return {latents[0], Sequence(layout_, frames * rows * columns).size(), config_.inner_dim()};
}

WanConditions WanTransformer::conditions(const Shape& latents, const Tensor& timestep, const TextContext& text) const {
  require(latents.size() == 5, "denoiser: latents {}, expected [B, C, F, H, W]", latents);
  check_latents(config_, {latents.begin() + 1, latents.end()});
  const std::array<int64_t, 3> grid = grid_of(latents);
  WanConditions c{.text = text, .tokens = Sequence(layout_, grid[0] * grid[1] * grid[2]), .latents = latents};
  const Rotation whole = wan_rope_table(config_.attention_head_dim, grid[0], grid[1], grid[2]);
  c.rotation = {c.tokens.entered_rows(whole[0]), c.tokens.entered_rows(whole[1])};
  const Tensor frequencies = timestep_embedding(timestep, config_.freq_dim);
  c.time = (*time_linear_2_)((*time_linear_1_)(frequencies, Activation::silu));
  const Tensor projected = cast((*time_proj_)(cast(silu(c.time), compute_)), DType::f32);
  c.modulation = reshape(projected, {latents[0], 6, config_.inner_dim()});
  return c;
}

Tensor WanTransformer::run_block(int64_t index, const Tensor& x, const WanConditions& c) const {
  const Recompute mode = index % recompute_every_ == 0 ? recompute_ : Recompute::off;
  const auto run = [&block = *blocks_[index], count = c.text.count, rotation = c.rotation, tokens = c.tokens, mode,
                    around = around_block_, index](std::span<const Tensor> in) {
    const std::shared_ptr<void> held = around ? around(index) : nullptr;
    return std::vector{block(in[0], in[1], in[2], in[3], count, rotation, tokens, mode)};
  };
  std::vector<Tensor> inputs{x, c.modulation, c.text.key[index], c.text.value[index]};
  return mode == Recompute::full ? recompute(run, std::move(inputs))[0] : run(inputs)[0];
}

Tensor WanTransformer::stage(int index, const Tensor& input, const WanConditions& c) const {
  Tensor x = input;  // [B, this rank's part of N, D], or latents
  if (index == 0) x = cast((*patch_embedding_)(cast(c.tokens.mine(patchify(input)), compute_)), DType::f32);
  const auto [first, end] = stages_.blocks(index);
  for (int64_t i = first; i < end; ++i) {
    x = run_block(i, x, c);
    if (check_finite_ && !all_finite(x)) fail_run("denoiser: block {} gave a value that is not finite", i);
  }
  if (!stages_.is_last(index)) return x;
  const Tensor table = scale_shift_table_ + reshape(c.time, {c.latents[0], 1, config_.inner_dim()});  // [B, 2, D]
  const Tensor out = (*proj_out_)(modulated_norm(x, row(table, 1), row(table, 0), config_.eps, compute_));
  return unpatchify(c.tokens.whole(cast(out, DType::f32)), c.latents);
}

Tensor WanTransformer::operator()(const Tensor& latents, const Tensor& timestep, const TextContext& text) const {
  const WanConditions given = conditions(latents.shape(), timestep, text);
  Shape velocity = latents.shape();
  velocity[1] = config_.out_channels;
  return relay(stages_, between(latents.shape()), velocity,
               [&](int index, const Tensor& states) { return stage(index, index == 0 ? latents : states, given); });
}

}  // namespace baton
