#include "pipelines/plan.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/data/tokenizer.h"
#include "engine/io/model_config.h"
#include "engine/plan/calibrate.h"
#include "engine/plan/scaling.h"
#include "engine/plan/search.h"
#include "pipelines/plan_report.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

constexpr size_t listed = 12;  // meshes of a search

Recompute recompute_of(PlannedRecompute asked, Recompute fallback) {
  return asked == PlannedRecompute::as_configured ? fallback : static_cast<Recompute>(static_cast<int>(asked) - 1);
}

// `sizes`: what is known about the model itself, as numbers.
void print(const PlanConfig& config, const Plan& plan, const Machine& machine, const Json& sizes) {
  if (config.json) {
    Json all = to_json(plan, machine);
    all.update(sizes);
    std::cout << all.dump(2) << "\n";
    return;
  }
  std::cout << describe(plan, machine) << "\n";
  for (const auto& [key, value] : sizes.items()) std::cout << fmt::format("{}: {:.4g}\n", key, value.get<double>());
}

// State in mixed precision as the literature counts it, and the FLOP of a step with every forward pass repeated.
Json sizes_of(const GptModel& model, int64_t batch) {
  return {{"parameters", model.parameters()},
          {"training_state_bytes", training_state_bytes(model.parameters())},
          {"flops_full_recompute", model.hardware_flops_full(static_cast<double>(batch))}};
}

// What the FLOP of the whole training would best be spent on.
Json sizes_of(const DitModel& model, const Plan& plan, int64_t steps) {
  const DitParameters p = parameters_of(model.transformer);
  const double flops = static_cast<double>(steps) * plan.time.model_flops;
  const ComputeOptimal best = compute_optimal(flops);
  return {{"parameters_of_an_expert", static_cast<double>(model.transformer.num_layers) * p.block() + p.outside},
          {"training_flops", flops},
          {"compute_optimal_parameters", best.parameters},
          {"compute_optimal_tokens", best.tokens}};
}

template <typename Run>
void print(const PlanConfig& config, const std::vector<Found<Run>>& found, const Machine& machine) {
  check(!found.empty(), "plan: no mesh divides the model and the batch over these ranks; try another --ranks");
  Json list = Json::array();
  std::vector<Plan> plans;
  for (size_t i = 0; i < std::min(found.size(), listed); ++i) {
    plans.push_back(found[i].plan);
    list.push_back(to_json(found[i].plan, machine));
  }
  if (config.json)
    std::cout << list.dump(2) << "\n";
  else
    std::cout << describe(plans, machine);
}

// The mesh with its replicas filled in, and the number of ranks.
MeshSpec filled_mesh(const PlanConfig& config) {
  MeshSpec mesh = parse_mesh(config.mesh);
  if (mesh.size(Axis::ep) > 1) return mesh;  // refused by who plans it
  const int64_t ranks = config.ranks > 0 ? config.ranks : mesh.ranks();
  const Mesh whole(mesh, static_cast<int>(ranks), {});
  mesh.sizes[static_cast<int>(Axis::dp)] = whole.replicas()[0];
  return mesh;
}

int plan_of_gpt(const PlanConfig& config, const Machine& machine) {
  const GptModel model = parse_gpt(config.gpt);
  if (config.search) {
    const int64_t ranks = config.ranks > 0 ? config.ranks : machine.devices;
    print(config, search_gpt(model, ranks, config.global_batch, machine), machine);
    return exit_done;
  }
  Execution e{.mesh = filled_mesh(config),
              .micro_batch = config.micro_batch,
              .interleave = config.interleave,
              .order = config.order,
              .recompute = recompute_of(config.recompute, Recompute::off),
              .sequence_parallel = config.sequence_parallel,
              .zero = std::max<int64_t>(0, config.zero)};
  const int64_t dp = e.mesh.size(Axis::dp), micro = std::max<int64_t>(1, config.micro_batch);
  check(config.global_batch % (dp * micro) == 0,
        "plan: --global-batch {} cannot be divided into dp={} times --micro-batch {}", config.global_batch, dp, micro);
  e.micro_batches = config.global_batch / (dp * micro);
  if (config.micro_batch == 0) e = with_best_micro_batch(model, e, config.global_batch / dp, machine);
  print(config, plan_gpt(model, e, machine), machine, sizes_of(model, config.global_batch));
  return exit_done;
}

// Tokens of a square picture of data.size pixels. An autoencoder that is not there yet is taken to make one latent of
// 8 x 8 pixels.
int64_t tokens_of(const TrainConfig& train, int64_t pixels_per_latent) {
  const auto& patch = train.denoiser.transformer.patch_size;
  const int64_t side = train.data.size / pixels_per_latent;
  check(side % patch[1] == 0 && side % patch[2] == 0 && side > 0,
        "plan: data.size: {} gives {} latents a side, no multiple of the patch {}; give --tokens", train.data.size,
        side, patch);
  return side / patch[1] * (side / patch[2]);
}

DitModel dit_model(const PlanConfig& config, TrainConfig train, const Machine& machine) {
  check(train.kind == TrainKind::denoiser, "{}: kind is vae; only the training of a denoiser can be planned",
        config.train_config);
  int64_t pixels_per_latent = 8;
  if (const Path file = Path(train.denoiser.vae) / "config.json"; std::filesystem::exists(file)) {
    const WanVaeConfig vae = read_wan_vae_config(file);
    pixels_per_latent = vae.scale_factor_spatial;
    train.denoiser.transformer.in_channels = train.denoiser.transformer.out_channels = vae.z_dim;
  }
  DitModel model{.transformer = train.denoiser.transformer,
                 .tokens = config.tokens > 0 ? config.tokens : tokens_of(train, pixels_per_latent),
                 .text_tokens = train.denoiser.max_tokens + 1,
                 .muon = train.optimizer.muon.lr > 0,
                 .ema = train.optimizer.ema > 0};
  model.shares = expected_shares(planned_ranges(train), train.t);
  model.turns = train.experts.turns;
  const bool f32 = train.dtype == ComputeType::automatic ? machine.matrix_16bit <= machine.matrix_f32
                                                         : train.dtype == ComputeType::f32;
  model.compute = f32 ? DType::f32 : DType::bf16;
  if (config.text == PlannedText::cached) return model;
  model.text_encoder = train.denoiser.text_encoder;
  if (std::filesystem::exists(train.denoiser.tokenizer))
    model.text_encoder->vocab_size = open_tokenizer(train.denoiser.tokenizer)->size();
  return model;
}

int plan_of_denoiser(const PlanConfig& config, const Machine& machine) {
  const auto train = read_config<TrainConfig>(config.train_config);
  const DitModel model = dit_model(config, train, machine);
  const int64_t configured = train.experts.batch > 0 ? train.experts.batch : train.batch;
  const int64_t batch = config.global_batch > 0 ? config.global_batch : configured;
  if (config.search) {
    const int64_t ranks = config.ranks > 0 ? config.ranks : machine.devices;
    print(config, search_dit(model, ranks, batch, config.zero < 0 ? 3 : config.zero, machine), machine);
    return exit_done;
  }
  DitRun run{.mesh = parse_mesh(config.mesh),
             .batch = batch,
             .order = config.order,
             .interleave = config.interleave,
             .recompute = recompute_of(config.recompute, train.recompute),
             .recompute_every = config.recompute_every > 0 ? config.recompute_every : train.recompute_every,
             .sequence_parallel = config.sequence_parallel,
             .zero = config.zero >= 0 ? config.zero : train.zero};
  run.ranks = config.ranks > 0 ? config.ranks : run.mesh.ranks();
  const int64_t whole = std::max<int64_t>(1, batch * run.mesh.cell() / run.ranks);  // of a replica
  run.micro_batch = config.micro_batch > 0 ? config.micro_batch : train.micro_batch > 0 ? train.micro_batch : whole;
  const Plan plan = plan_dit(model, run, machine);
  print(config, plan, machine, sizes_of(model, plan, train.steps));
  return exit_done;
}

}  // namespace

int run_plan(const PlanConfig& config) {
  if (config.calibrate) {
    Machine machine = measure_machine(std::max<int64_t>(1, config.ranks));
    std::cout << print_fields([&](ConfigVisitor& v) { visit(v, machine); });
    return exit_done;
  }
  const Machine machine = read_machine(config.machine);
  return config.gpt.empty() ? plan_of_denoiser(config, machine) : plan_of_gpt(config, machine);
}

}  // namespace baton
