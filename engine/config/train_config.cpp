#include "engine/config/train_config.h"

#include <algorithm>
#include <cstdint>

#include "engine/core/error.h"
#include "engine/diffusion/experts.h"
#include "engine/diffusion/sampler.h"

namespace baton {
namespace {

constexpr double tiny = 1e-12;  // stands for "more than zero"

void visit(ConfigVisitor& v, DataConfig& c, TrainKind kind) {
  v("folder", c.folder, "data set: a folder of pictures, or a .jsonl or .csv file");
  v("size", c.size, "side of the square pictures, pixels; others are resized to cover it and cropped at the centre",
    {8, 8192});
  if (kind == TrainKind::vae)
    v("crop", c.crop, "side of the random crop that is trained on, pixels; 0: the whole picture", {0, 8192});
  v("flip", c.flip, "mirror every second draw; wrong for letters, flags and whatever has a left and a right");
  v("background", c.background, "colour behind transparent pixels, #rrggbb");
  if (kind == TrainKind::denoiser) {
    v.choice("missing_caption", c.missing_caption, {"error", "empty", "skip"},
             "what to do with a picture that has none");
    v("caption_extension", c.caption_extension, "of the text files beside the pictures, where there is no list");
  }
  v("skip_unreadable", c.skip_unreadable, "leave out pictures that cannot be read, instead of refusing the data set");
  v("memory_mb", c.memory_mb, "decoded pictures kept in memory at most, MiB; beyond it they are decoded at each draw",
    {0, 1 << 20});
}

void visit(ConfigVisitor& v, WanVaeConfig& c) {
  v("base_dim", c.base_dim, "channels of the first level", {1, 4096});
  v("dim_mult", c.dim_mult, "channels of each level as multiples of base_dim", {1, 64});
  v("z_dim", c.z_dim, "channels of the latents", {1, 256});
  v("num_res_blocks", c.num_res_blocks, "residual blocks of each level", {1, 16});
  int64_t patch = c.patch_size.value_or(1);
  v("patch_size", patch, "pixels of a side that become channels before the first convolution; 1: none", {1, 16});
  c.patch_size = patch > 1 ? std::optional(patch) : std::nullopt;
  v("temperal_downsample", c.temperal_downsample,
    "which steps between levels would also halve time in a video; one fewer than levels (diffusers' spelling)");
  v("is_residual", c.is_residual, "shortcuts around whole levels, as in Wan 2.2");
}

void visit(ConfigVisitor& v, WanTransformerConfig& c) {
  v("patch_size", c.patch_size, "frames, rows and columns of the latents that are one token", {1, 16});
  v("num_attention_heads", c.num_attention_heads, "heads", {1, 256});
  v("attention_head_dim", c.attention_head_dim, "channels of a head", {6, 256});
  v("ffn_dim", c.ffn_dim, "channels inside the feed-forward layers", {1, 1 << 17});
  v("num_layers", c.num_layers, "blocks", {1, 256});
  v("freq_dim", c.freq_dim, "sines and cosines that stand for t", {2, 4096});
  v("cross_attn_norm", c.cross_attn_norm, "layer norm before the attention to the text");
  v("eps", c.eps, "added to the variance in norms", {tiny, 1});
  v("rope_max_seq_len", c.rope_max_seq_len, "longest side in tokens", {1, 1 << 16});
}

void visit(ConfigVisitor& v, T5EncoderConfig& c) {
  v("d_model", c.d_model, "channels of the states", {1, 1 << 14});
  v("num_heads", c.num_heads, "heads", {1, 256});
  v("d_kv", c.d_kv, "channels of a head", {1, 256});
  v("d_ff", c.d_ff, "channels inside the feed-forward layers", {1, 1 << 17});
  v("num_layers", c.num_layers, "blocks", {1, 256});
  v("relative_attention_num_buckets", c.relative_attention_num_buckets, "classes of distance between tokens",
    {4, 1024});
  v("relative_attention_max_distance", c.relative_attention_max_distance, "distance from which all count as one",
    {4, 1 << 16});
}

void visit(ConfigVisitor& v, DenoiserModelConfig& c) {
  v("vae", c.vae, "folder of the trained autoencoder (diffusers layout)");
  v("tokenizer", c.tokenizer, "folder of the tokenizer");
  v("start", c.start, "pipeline folder whose denoiser and text encoder to start from; empty: random weights");
  v("max_tokens", c.max_tokens, "longest caption in tokens, end of sequence included; the rest is cut", {1, 65536});
  v.section("transformer", "denoiser, WanTransformer3DModel", [&] { visit(v, c.transformer); });
  v.section("text_encoder", "trained along with it, UMT5EncoderModel", [&] { visit(v, c.text_encoder); });
}

void visit(ConfigVisitor& v, VaeLossConfig& c) {
  v("l1", c.l1, "weight of the mean absolute error", {0, 1e6});
  v("mse", c.mse, "weight of the mean squared error", {0, 1e6});
  v("gradient", c.gradient, "weight of the mean absolute error of differences between neighbouring pixels", {0, 1e6});
  v("kl", c.kl, "weight of the divergence of the latents from a standard normal, mean over their elements", {0, 1e6});
}

void visit(ConfigVisitor& v, AdamWConfig& c) {
  v("lr", c.lr, "learning rate", {0, 10});
  v("beta1", c.beta1, "decay of the mean gradient", {0, 0.999999});
  v("beta2", c.beta2, "decay of the mean squared gradient", {0, 0.999999});
  v("eps", c.eps, "added to the root of the mean squared gradient", {0, 1});
  v("weight_decay", c.weight_decay, "share of the weights, times the learning rate, taken off at a step", {0, 10});
}

void visit(ConfigVisitor& v, MuonConfig& c) {
  v("lr", c.lr, "learning rate of the blocks' matrices, on AdamW's scale; 0: AdamW takes them too", {0, 10});
  v("momentum", c.momentum, "decay of the gathered gradient", {0, 0.999999});
  v("weight_decay", c.weight_decay, "as in adamw", {0, 10});
}

void visit(ConfigVisitor& v, OptimizerConfig& c, TrainKind kind) {
  v.section("adamw", "decoupled weight decay (Loshchilov and Hutter 2019)", [&] { visit(v, c.adamw); });
  if (kind == TrainKind::denoiser)
    v.section("muon", "orthogonalised momentum for matrices (Jordan 2024)", [&] { visit(v, c.muon); });
  v("clip", c.clip, "largest norm of a model's gradients together; 0: not clipped", {0, 1e6});
  v("ema", c.ema, "decay of the averaged weights that are saved as the model; 0: no average", {0, 0.9999999});
}

void visit(ConfigVisitor& v, ScheduleConfig& c) {
  v("warmup", c.warmup, "steps in which the learning rate rises from 0", {0, 1'000'000'000});
  v("floor", c.floor, "share of the learning rate left at the last step of the cosine; 1: constant", {0, 1});
}

void visit(ConfigVisitor& v, TimeDistribution& c) {
  v.choice("law", c.law, {"logit_normal", "uniform"}, "distribution of the noise level before the shift");
  v("mean", c.mean, "of the logit; logit_normal alone", {-20, 20});
  v("deviation", c.deviation, "standard deviation of the logit; logit_normal alone", {tiny, 20});
  v("shift", c.shift, "t = shift u / (1 + (shift - 1) u); above 1: more noise", {tiny, 1000});
}

void visit(ConfigVisitor& v, ExpertsConfig& c) {
  v("count", c.count, "denoisers, each on a range of noise levels", {1, 64});
  v("boundaries", c.boundaries,
    "count - 1 falling noise levels between the experts; empty: equal shares of the samples", {0, 1});
  v("branch_at", c.branch_at, "steps for which one denoiser learns all noise levels before it is copied to the experts",
    {0, 1'000'000'000});
  v("batch", c.batch, "samples of a step from there on, for all experts together; 0: batch", {0, 1 << 20});
  v("turns", c.turns,
    "whether a step's samples all go to one expert, each getting as many steps as its share of the samples; saves "
    "updates from few samples where batches are small");
}

void visit(ConfigVisitor& v, SamplingConfig& c) {
  v("steps", c.steps, "from noise to picture", {1, 10000});
  v("guidance", c.guidance, "how strongly a picture follows its text, one value or one per expert; 1: off", {0, 1000});
  v("shift", c.shift, "above 1: more steps at high noise; 0: as t.shift", {0, 1000});
  v("sampler", c.sampler, "unipc, euler, heun or dpm++2m; empty: the scheduler of model.start, else unipc");
  v("height", c.height, "of the pictures in pixels, which are as wide as data.size; 0: as high", {0, 8192});
}

void visit(ConfigVisitor& v, CheckpointConfig& c) {
  v("folder", c.folder, "where checkpoints, metrics and the finished model go");
  v("every", c.every, "steps between checkpoints; 0: none by steps", {0, 1'000'000'000});
  v("minutes", c.minutes, "minutes between checkpoints; 0: none by time", {0, 1e6});
  v("keep", c.keep, "latest intact checkpoints that are kept, besides the one a run went on from", {1, 10'000});
  v("keep_every", c.keep_every, "checkpoints at multiples of this many steps stay for good; 0: none",
    {0, 1'000'000'000});
}

void visit(ConfigVisitor& v, ValidationConfig& c, TrainKind kind) {
  v("every", c.every, "steps between validations; 0: none", {0, 1'000'000'000});
  v("items", c.items, "pictures, evenly spaced in the data set", {1, 1'000'000});
  if (kind == TrainKind::denoiser) v("t_bins", c.t_bins, "equal bins of t that are reported", {1, 1000});
}

// #rrggbb.
bool is_color(const std::string& text) {
  return text.size() == 7 && text[0] == '#' && text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
}

void resolve(TrainConfig& c, WanVaeConfig& vae) {
  c.data.missing_caption = MissingCaption::empty;
  const auto levels = static_cast<int64_t>(vae.dim_mult.size());
  check(levels >= 1 && levels <= 8, "model.dim_mult: {} levels, expected 1 to 8", levels);
  check(std::ssize(vae.temperal_downsample) == levels - 1,
        "model.temperal_downsample: {} values, expected {}, one fewer than model.dim_mult has",
        vae.temperal_downsample.size(), levels - 1);
  const int64_t patch = vae.patch_size.value_or(1);
  vae.in_channels = vae.out_channels = 3 * patch * patch;
  vae.scale_factor_spatial = patch << (levels - 1);
  // Without temporal levels the true factor is 1, but diffusers' WanPipeline turns one frame into two for it; any other
  // keeps one frame one.
  vae.scale_factor_temporal = std::max<int64_t>(2, int64_t{1} << std::ranges::count(vae.temperal_downsample, true));
  check(c.data.crop <= c.data.size, "data.crop: {} does not fit into data.size: {}", c.data.crop, c.data.size);
  for (const int64_t side : {c.data.size, c.data.crop})
    check(side % vae.scale_factor_spatial == 0,
          "data.size: {} and data.crop: {} must be multiples of {}, the pixels that the model makes one latent of",
          c.data.size, c.data.crop, vae.scale_factor_spatial);
}

void resolve(TrainConfig& c, DenoiserModelConfig& model) {
  check(!model.vae.empty(), "model.vae: missing; name the folder of a trained autoencoder");
  check(!model.tokenizer.empty(), "model.tokenizer: missing; name the folder of a tokenizer");
  model.transformer.text_dim = model.text_encoder.d_model;
  check(model.transformer.attention_head_dim % 2 == 0, "model.transformer.attention_head_dim: {} must be even",
        model.transformer.attention_head_dim);
  check(model.transformer.patch_size[0] == 1,
        "model.transformer.patch_size: [{}]: a picture has one frame, so the first size must be 1",
        fmt::join(model.transformer.patch_size, ", "));
  check(c.experts.boundaries.empty() || std::ssize(c.experts.boundaries) == c.experts.count - 1,
        "experts.boundaries: {} values for experts.count: {}, expected {} or an empty list",
        c.experts.boundaries.size(), c.experts.count, c.experts.count - 1);
  const std::vector<std::string> samplers = sampler_names();
  check(c.sampling.sampler.empty() || std::ranges::count(samplers, c.sampling.sampler) == 1,
        "sampling.sampler: '{}', expected one of {}, or none", c.sampling.sampler, fmt::join(samplers, ", "));
  const int64_t values = std::ssize(c.sampling.guidance);
  check(values == 1 || values == c.experts.count,
        "sampling.guidance: {} values for experts.count: {}, expected one, or one for each", values, c.experts.count);
  check(c.experts.branch_at <= c.steps, "experts.branch_at: {} is beyond steps: {}", c.experts.branch_at, c.steps);
  check(!ExpertRanges(c.experts.boundaries).has_idle_expert(),
        "experts.boundaries: {} must lie strictly between 0 and 1 and fall from each to the next, or an expert learns "
        "nothing",
        c.experts.boundaries);
}

}  // namespace

void visit(ConfigVisitor& v, TrainConfig& c) {
  v.choice("kind", c.kind, {"vae", "denoiser"}, "what is trained; decides which other keys there are");
  const bool vae = c.kind == TrainKind::vae;
  v("seed", c.seed, "of all random numbers", {0, INT64_MAX});
  v("steps", c.steps, "optimizer steps in all", {1, 1'000'000'000});
  v("batch", c.batch, "samples of a step", {1, 1 << 20});
  v("micro_batch", c.micro_batch, "samples that go forward and backward at once, to save memory; 0: the whole batch",
    {0, 1 << 20});
  v.choice("dtype", c.dtype, {"auto", "f32", "bf16"},
           "of activations and products; weights stay f32; auto: bf16 where the processor multiplies it");
  v.choice("recompute", c.recompute, {"off", "selective", "full"},
           "what is computed again instead of kept for the backward pass");
  if (!vae) v("recompute_every", c.recompute_every, "in every so many blocks; the others keep all", {1, 1 << 16});
  v("log_every", c.log_every, "steps between lines of metrics", {1, 1'000'000'000});
  v.section("data", "", [&] { visit(v, c.data, c.kind); });
  if (vae) {
    v.section("model", "AutoencoderKLWan", [&] { visit(v, c.vae); });
    v.section("loss", "sum of", [&] { visit(v, c.loss); });
  } else {
    v.section("model", "", [&] { visit(v, c.denoiser); });
    v.section("experts", "", [&] { visit(v, c.experts); });
    v.section("t", "how the noise level of a sample is drawn", [&] { visit(v, c.t); });
    v("zero", c.zero,
      "what each of several replicas keeps: 0 everything, 1 its share of the optimizer's state, 2 and of the "
      "gradients, "
      "3 and of the blocks' weights (with recompute: full)",
      {0, 3});
    v.choice("pipeline", c.pipeline, {"1f1b", "gpipe"},
             "with pp: order of the micro-batches; 1f1b keeps few under way, gpipe all of the step");
    v.section("parallel", "several ranks at once", [&] { visit(v, c.parallel); });
    v.section("sampling", "what the finished model suggests to generate", [&] { visit(v, c.sampling); });
  }
  v.section("optimizer", "", [&] { visit(v, c.optimizer, c.kind); });
  v.section("schedule", "of the learning rate", [&] { visit(v, c.schedule); });
  v.section("checkpoint", "", [&] { visit(v, c.checkpoint); });
  v.section("validation", "", [&] { visit(v, c.validation, c.kind); });
}

ExpertRanges planned_ranges(const TrainConfig& c) {
  if (c.experts.boundaries.empty()) return equal_shares(static_cast<int>(c.experts.count), c.t);
  return ExpertRanges(c.experts.boundaries);
}

void resolve(DataConfig& c) {
  check(!c.folder.empty(), "data.folder: missing; name the folder of the data set");
  check(is_color(c.background), "data.background: '{}' is not #rrggbb", c.background);
  check(c.caption_extension.size() > 1 && c.caption_extension[0] == '.',
        "data.caption_extension: '{}', expected a dot and letters, like .txt", c.caption_extension);
}

void resolve(TrainConfig& c) {
  resolve(c.data);
  check(!c.checkpoint.folder.empty(), "checkpoint.folder: missing; name the folder to write to");
  check(c.micro_batch == 0 || c.batch % c.micro_batch == 0, "micro_batch: {} does not divide batch: {}", c.micro_batch,
        c.batch);
  check(c.micro_batch == 0 || c.experts.batch % c.micro_batch == 0, "micro_batch: {} does not divide experts.batch: {}",
        c.micro_batch, c.experts.batch);
  resolve(c.parallel);
  check(c.zero < 3 || (c.recompute == Recompute::full && c.recompute_every == 1),
        "zero: 3 gathers a block's weights when it runs and lets them go, so the backward pass must run it again: set "
        "recompute: full");
  check(c.pipeline == PipelineOrder::one_f_one_b || c.parallel.interleave == 1,
        "pipeline: gpipe works on each stage as a whole; leave parallel.interleave out");
  check(c.schedule.warmup <= c.steps, "schedule.warmup: {} is beyond steps: {}", c.schedule.warmup, c.steps);
  if (c.kind == TrainKind::vae)
    resolve(c, c.vae);
  else
    resolve(c, c.denoiser);
}

}  // namespace baton
