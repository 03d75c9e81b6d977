#include "pipelines/train.h"

#include <fmt/format.h>

#include <atomic>

#include "engine/comm/mpi.h"
#include "engine/core/error.h"
#include "engine/core/print.h"
#include "engine/diffusion/time_distribution.h"
#include "engine/io/folder_lock.h"
#include "engine/io/pipeline_directory.h"
#include "engine/train/denoiser_trainer.h"
#include "engine/train/vae_trainer.h"
#include "pipelines/ranks.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

Outcome train_vae(const TrainConfig& config, DType compute, const Runtime& runtime) {
  const FolderLock lock(config.checkpoint.folder, "training");
  DatasetPictures data(config);
  VaeTrainer trainer(config, data, compute);
  return run_loop(trainer, config, runtime.progress, runtime.stop);
}

// What all ranks must have alike, but the data set, which is opened later.
Terms terms_of(TrainConfig config, DType compute) {
  constexpr std::string_view may_differ[] = {"data.folder", "data.memory_mb", "model.vae", "model.tokenizer",
                                             "model.start"};
  Terms terms = config_terms([&](ConfigVisitor& v) { visit(v, config); }, may_differ);
  terms.emplace_back("dtype of the products", name(compute));
  terms.emplace_back("hash of model.vae", hash_folder(config.denoiser.vae));
  terms.emplace_back("hash of model.tokenizer", hash_folder(config.denoiser.tokenizer));
  const std::string& start = config.denoiser.start;
  terms.emplace_back("hash of model.start", start.empty() ? "none" : PipelineDirectory(start).fingerprint());
  return terms;
}

bool train_denoiser(TrainConfig config, DType compute, const Runtime& runtime, std::atomic<Outcome>& outcome) {
  check(parse_mesh(config.parallel.mesh).size(Axis::cfg) == 1, "mesh: cfg is for generate, training has no guidance");
  const auto tokenizer = open_tokenizer(config.denoiser.tokenizer);
  complete_sizes(config, *tokenizer);
  const Path folder = config.checkpoint.folder, cache = folder / "latents";
  std::optional<DatasetLatents> latents;  // of this process, for all its ranks
  return on_ranks(
      config.parallel, runtime, expected_shares(planned_ranges(config), config.t),
      [&] { return terms_of(config, compute); },
      [&](const Layout& layout) {
        const bool first = layout.rank() == 0, first_of_process = first || started_by_mpi();
        std::optional<FolderLock> lock;  // the first rank holds it for all
        if (first) lock.emplace(folder, "training");
        if (first_of_process) latents.emplace(config, *tokenizer);
        layout.everyone().barrier();
        check_agreement("data sets", latents->terms(), layout.everyone());
        if (first) latents->encode(cache, runtime.progress);
        layout.everyone().barrier();
        if (first_of_process && !first) latents->encode(cache, ProgressMode::none);  // finds what the first has made
        DrawnLatents data(*latents, config);
        DenoiserTrainer trainer(config, data, compute, layout);
        outcome = run_loop(trainer, config, runtime.progress, runtime.stop, layout.everyone());
      });
}

DType compute_type(ComputeType wanted, const Runtime& runtime) {
  if (wanted == ComputeType::automatic) return runtime.compute;
  return wanted == ComputeType::bf16 ? DType::bf16 : DType::f32;
}

}  // namespace

int run_train(const TrainConfig& config, const Runtime& runtime) {
  const DType compute = compute_type(config.dtype, runtime);
  std::atomic<Outcome> outcome = Outcome::interrupted;
  bool first = true;  // whether this process speaks for all
  check(config.kind == TrainKind::denoiser || !started_by_mpi(),
        "train: an autoencoder is trained by one process; run it without mpirun");
  if (config.kind == TrainKind::vae)
    outcome = train_vae(config, compute, runtime);
  else
    first = train_denoiser(config, compute, runtime, outcome);
  if (outcome == Outcome::interrupted) return exit_interrupted;
  if (first) print(printable_line((Path(config.checkpoint.folder) / "model").string()) + "\n");
  return exit_done;
}

}  // namespace baton
