#pragma once

#include <string>
#include <vector>

#include "engine/autograd/recompute.h"
#include "engine/config/parallel_config.h"
#include "engine/config/visitor.h"
#include "engine/diffusion/time_distribution.h"
#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/models/wan_vae.h"
#include "engine/parallel/pipeline.h"

// The config of `baton train`. What a key means and which values it takes stands in its visit() (train_config.cpp),
// because `--print-config` shows that too. Which keys there are depends on `kind`.
//   TrainConfig config = read_train_config("configs/train/denoiser.yaml", overrides);   // engine/config/train_start.h
namespace baton {

enum class TrainKind { vae, denoiser };
enum class ComputeType { automatic, f32, bf16 };  // automatic: bf16 where the machine multiplies it in hardware
enum class MissingCaption { error, empty, skip };

struct DataConfig {
  std::string folder;
  int64_t size = 128;
  int64_t crop = 0;  // kind vae only
  bool flip = false;
  std::string background = "#ffffff";
  MissingCaption missing_caption = MissingCaption::error;  // kind vae: empty
  std::string caption_extension = ".txt";                  // kind denoiser only, as missing_caption
  bool skip_unreadable = false;
  int64_t memory_mb = 2048;
};

struct DenoiserModelConfig {
  std::string vae;                   // folder of the trained autoencoder
  std::string tokenizer;             // folder
  std::string start;                 // pipeline folder whose weights to start from; empty: random ones
  WanTransformerConfig transformer;  // text_dim follows from the text encoder, channels from the autoencoder
  // UMT5EncoderModel; vocab_size is the tokenizer's, or that of `start`.
  T5EncoderConfig text_encoder{.gated = true, .activation = Activation::gelu_tanh, .bias_in_every_layer = true};
  int64_t max_tokens = 24;  // caption length, end of sequence included
};

// Weights of the autoencoder's loss terms, each a mean over elements.
struct VaeLossConfig {
  double l1 = 1, mse = 4, gradient = 0.5, kl = 3e-4;
};

struct AdamWConfig {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.98;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

struct MuonConfig {
  double lr = 1.5e-3;  // 0: AdamW takes the matrices as well
  double momentum = 0.95;
  double weight_decay = 0.01;
};

struct OptimizerConfig {
  AdamWConfig adamw;
  MuonConfig muon;  // kind denoiser only
  double clip = 1;  // largest norm of all gradients together; 0: off
  double ema = 0;   // decay of the averaged weights; 0: off
};

// Learning rate as a multiple of the optimizer's: rises linearly over `warmup` steps, then falls along half a cosine to
// `floor` at the last step (1: stays). The fall follows the samples seen, of which the steps of experts may have more.
struct ScheduleConfig {
  int64_t warmup = 0;
  double floor = 0;
};

struct ExpertsConfig {
  int64_t count = 1;
  std::vector<double> boundaries;  // count - 1 falling values of t; empty: every expert gets the same share of samples
  int64_t branch_at = 0;           // the step before which one denoiser learns all t
  int64_t batch = 0;               // of a step from there on; 0: TrainConfig::batch
  bool turns = false;              // each step trains one expert
};

struct CheckpointConfig {
  std::string folder;
  int64_t every = 1000;  // steps; 0: off
  double minutes = 10;   // 0: off
  int64_t keep = 2;
  int64_t keep_every = 0;  // steps between checkpoints that stay for good; 0: none
};

struct ValidationConfig {
  int64_t every = 1000;  // steps; 0: off
  int64_t items = 256;
  int64_t t_bins = 10;  // kind denoiser only
};

// What the finished model suggests to those who draw with it.
struct SamplingConfig {
  int64_t steps = 24;
  std::vector<double> guidance{4};  // one value, or one per expert
  double shift = 0;                 // of the noise levels; 0: that of the training
  std::string sampler;              // empty: the scheduler's
  int64_t height = 0;               // of the pictures, which are as wide as data.size; 0: as high
};

struct TrainConfig {
  TrainKind kind = TrainKind::denoiser;
  DataConfig data;
  WanVaeConfig vae;              // kind vae: key `model`; channels and scale factor follow from the rest
  VaeLossConfig loss;            // kind vae only
  DenoiserModelConfig denoiser;  // kind denoiser: key `model`
  ExpertsConfig experts;         // kind denoiser only
  TimeDistribution t;            // kind denoiser only
  SamplingConfig sampling;       // kind denoiser only
  int64_t seed = 0;
  int64_t steps = 1000;
  int64_t batch = 32;
  int64_t micro_batch = 0;  // 0: the whole batch at once
  ComputeType dtype = ComputeType::automatic;
  Recompute recompute = Recompute::off;
  int64_t recompute_every = 1;  // in every so many blocks
  ParallelConfig parallel;      // kind denoiser only
  PipelineOrder pipeline = PipelineOrder::one_f_one_b;
  int64_t zero = 1;  // ZeRO stage: what replicas keep of the optimizer's state and the gradients
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  CheckpointConfig checkpoint;
  ValidationConfig validation;
  int64_t log_every = 50;
};

void visit(ConfigVisitor& v, TrainConfig& config);

// The noise levels of the experts after the branch: the boundaries given, or equal shares of the samples.
ExpertRanges planned_ranges(const TrainConfig& config);

// Fills in what follows from other keys (channels, scale factors, text_dim) and throws InputError, naming the keys,
// when values do not fit each other.
void resolve(TrainConfig& config);
void resolve(DataConfig& config);

}  // namespace baton
