#include "pipelines/train.h"

#include <fmt/format.h>

#include "engine/diffusion/time_distribution.h"
#include "engine/train/denoiser_trainer.h"
#include "engine/train/vae_trainer.h"
#include "pipelines/ranks.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

Outcome train_vae(const TrainConfig& config, DType compute, const Runtime& runtime) {
  DatasetPictures data(config);
  VaeTrainer trainer(config, data, compute);
  return run_loop(trainer, config, runtime.progress, runtime.stop);
}

std::vector<double> shares_of_experts(const TrainConfig& config) {
  const ExpertRanges ranges = config.experts.boundaries.empty()
                                  ? equal_shares(static_cast<int>(config.experts.count), config.t)
                                  : ExpertRanges(config.experts.boundaries);
  return expected_shares(ranges, config.t);
}

Outcome train_denoiser(TrainConfig config, DType compute, const Runtime& runtime) {
  const auto tokenizer = open_tokenizer(config.denoiser.tokenizer);
  complete_sizes(config, *tokenizer);
  const Path cache = Path(config.checkpoint.folder) / "latents";
  DatasetLatents data(config, *tokenizer, cache, runtime.progress);
  Outcome outcome = Outcome::interrupted;
  on_ranks(config.parallel, runtime, shares_of_experts(config), [&](const Layout& layout) {
    DenoiserTrainer trainer(config, data, compute, layout);
    const Outcome mine = run_loop(trainer, config, runtime.progress, runtime.stop, layout.everyone());
    if (layout.rank() == 0) outcome = mine;
  });
  return outcome;
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
