#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/autograd/cut.h"
#include "engine/autograd/recompute.h"
#include "engine/nn/linear.h"
#include "engine/nn/parameters.h"
#include "engine/parallel/sequence.h"
#include "engine/parallel/stages.h"

namespace baton {

// The keys of diffusers' WanTransformer3DModel config.json, with its defaults.
struct WanTransformerConfig {
  std::array<int64_t, 3> patch_size{1, 2, 2};  // frames, rows, columns
  int64_t num_attention_heads = 40;
  int64_t attention_head_dim = 128;
  int64_t in_channels = 16;
  int64_t out_channels = 16;
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;
  int64_t ffn_dim = 13824;
  int64_t num_layers = 40;
  bool cross_attn_norm = true;
  float eps = 1e-6f;
  int64_t rope_max_seq_len = 1024;

  int64_t inner_dim() const { return num_attention_heads * attention_head_dim; }
};

// What the denoiser reads of a text: it does not change between steps, so it is computed once per text and expert.
struct TextContext {
  std::vector<Tensor> key, value;  // of each block that this rank has: [B, L, H, d], its heads
  Tensor count;                    // [B, L] multiplicity of each position, see AttentionOptions::key_count
};

// What the blocks read besides the states that pass through them; the same for all blocks, and on every stage.
struct WanConditions {
  Tensor time;        // [B, D] f32
  Tensor modulation;  // [B, 6, D] f32
  TextContext text;
  std::array<Tensor, 2> rotation;  // cos, sin
  Sequence tokens;
  Shape latents;
};
WanConditions behind(Cut& cut, WanConditions conditions);

// Wan 2.1 / 2.2's text-to-video denoiser (diffusers' WanTransformer3DModel); for pictures the number of frames is one.
//   Legend: B items, C channels, F frames, N = patches, D = inner_dim, L text positions, H heads, d = head size.
// GEMMs run in `compute` (f32 or bf16); the residual stream and the modulation stay in f32. On the ranks of `layout`
// each holds its share of the blocks and matrices and works on its share of heads and tokens; inputs and output are
// whole.
class WanTransformer {
 public:
  WanTransformer(const WanTransformerConfig& config, ParameterSource& source, DType compute, const Layout& layout = {});
  ~WanTransformer();

  // states [B, L, text_dim]: text encoder states; count [B, L] f32 or undefined. Padding (all zeros, as WanPipeline
  // pads) is one position with its multiplicity in `count`.
  TextContext encode_text(const Tensor& states, const Tensor& count) const;

  // latents [B, C, F, H, W] f32, timestep [B] f32 in [0, 1000] -> predicted velocity [B, out_channels, F, H, W] f32.
  // Rows and columns must be multiples of the patch.
  Tensor operator()(const Tensor& latents, const Tensor& timestep, const TextContext& text) const;

  // The same in stages, for passes that go through a pipeline: stage 0 reads the latents, the last gives the velocity,
  // and in between go states of shape between().
  const Stages& stages() const { return stages_; }
  WanConditions conditions(const Shape& latents, const Tensor& timestep, const TextContext& text) const;
  Tensor stage(int index, const Tensor& input, const WanConditions& conditions) const;
  Shape between(const Shape& latents) const;

  // Packs all constant weights now rather than at their first use: what a background thread does before the hand-over.
  void prepare() const;

  const WanTransformerConfig& config() const { return config_; }
  const Parameters& parameters() const { return parameters_; }
  // In every so many blocks; the others keep all.
  void set_recompute(Recompute recompute, int64_t every = 1) {
    recompute_ = recompute;
    recompute_every_ = every;
  }
  // Called before a block runs, forward or again for the backward pass; what it gives is let go when the block has run.
  using AroundBlock = std::function<std::shared_ptr<void>(int64_t block)>;
  void set_around_block(AroundBlock around) { around_block_ = std::move(around); }
  // With this on, every block's output is checked and RunError names the first layer that is not finite.
  void set_check_finite(bool on) { check_finite_ = on; }

 private:
  class Block;
  std::array<Tensor, 2> text_key_value(int64_t index, const Tensor& text, const Sequence& tokens) const;
  Tensor patchify(const Tensor& latents) const;
  Tensor unpatchify(const Tensor& tokens, const Shape& latents) const;
  std::array<int64_t, 3> grid_of(const Shape& latents) const;
  Tensor run_block(int64_t index, const Tensor& x, const WanConditions& conditions) const;

  WanTransformerConfig config_;
  DType compute_;
  Layout layout_;
  Stages stages_;
  Parameters parameters_;
  Recompute recompute_ = Recompute::off;
  int64_t recompute_every_ = 1;
  AroundBlock around_block_;
  bool check_finite_ = false;
  // What other stages have is null.
  std::unique_ptr<Linear> patch_embedding_, time_linear_1_, time_linear_2_, time_proj_, text_linear_1_, text_linear_2_,
      proj_out_;
  Tensor scale_shift_table_;  // [1, 2, D]
  std::vector<std::unique_ptr<Block>> blocks_;
};

// cos and sin [N, d/2] of the three-axis rotary embedding for a grid of frames x rows x columns patches: the head
// splits into d - 4 floor(d/6) channels for the frame axis and 2 floor(d/6) for each of the others; angle = position *
// 10000^(-2i / channels).
std::array<Tensor, 2> wan_rope_table(int64_t head_dim, int64_t frames, int64_t rows, int64_t columns);

}  // namespace baton
