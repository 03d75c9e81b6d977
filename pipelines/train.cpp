#include "pipelines/train.h"

#include <fmt/format.h>

#include "engine/train/denoiser_trainer.h"
#include "engine/train/vae_trainer.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

Outcome train_vae(const TrainConfig& config, DType compute, const Runtime& runtime) {
  DatasetPictures data(config);
  VaeTrainer trainer(config, data, compute);
  return run_loop(trainer, config, runtime.progress, runtime.stop);
}

Outcome train_denoiser(TrainConfig config, DType compute, const Runtime& runtime) {
  const auto tokenizer = open_tokenizer(config.denoiser.tokenizer);
  complete_sizes(config, *tokenizer);
  DatasetLatents data(config, *tokenizer, Path(config.checkpoint.folder) / "latents", runtime.progress);
  DenoiserTrainer trainer(config, data, compute);
  return run_loop(trainer, config, runtime.progress, runtime.stop);
}

DType compute_type(ComputeType wanted, const Runtime& runtime) {
  if (wanted == ComputeType::automatic) return runtime.compute;
  return wanted == ComputeType::bf16 ? DType::bf16 : DType::f32;
}

}  // namespace

int run_train(const TrainConfig& config, const Runtime& runtime) {
  const DType compute = compute_type(config.dtype, runtime);
  const Outcome outcome =
      config.kind == TrainKind::vae ? train_vae(config, compute, runtime) : train_denoiser(config, compute, runtime);
  if (outcome == Outcome::interrupted) return exit_interrupted;
  fmt::print("{}\n", (Path(config.checkpoint.folder) / "model").string());
  return exit_done;
}

}  // namespace baton
