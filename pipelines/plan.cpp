#include "pipelines/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/config/train_start.h"
#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/core/print.h"
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

// What is known about the model itself.
struct Size {
  const char* key;  // in JSON
  const char* words;
  double value;
};
using Sizes = std::vector<Size>;

// `hints`: advice that more than this plan tells.
void print_plan(const PlanConfig& config, const Plan& plan, const Machine& machine, const Sizes& sizes,
                const std::vector<std::string>& hints = {}) {
  if (!config.json) {
    print(describe(plan, machine));
    for (const std::string& hint : hints) print(hint + "\n");
    print("\n");
    for (const Size& size : sizes) print(fmt::format("{}: {:.4g}\n", size.words, size.value));
    return;
  }
  Json all = to_json(plan, machine);
  for (const Size& size : sizes) all[size.key] = size.value;
  for (const std::string& hint : hints) all["advice"].push_back(hint);
  print(json_text(all, 2) + "\n");
}

// State in mixed precision as the literature counts it, and the FLOP of a step with every forward pass repeated.
Sizes sizes_of(const GptModel& model, int64_t batch) {
  return {{"parameters", "parameters", model.parameters()},
          {"training_state_bytes", "bytes of their training state in mixed precision",
           training_state_bytes(model.parameters())},
          {"flops_full_recompute", "FLOP of a step with every forward pass repeated",
           model.hardware_flops_full(static_cast<double>(batch))}};
}

// What the FLOP of the whole training would best be spent on.
Sizes sizes_of(const DitModel& model, const Plan& plan, int64_t steps) {
  const DitParameters p = parameters_of(model.transformer);
  const double flops = static_cast<double>(steps) * plan.time.model_flops;
  const ComputeOptimal best = compute_optimal(flops);
  return {{"parameters_of_an_expert", "parameters of an expert",
           static_cast<double>(model.transformer.num_layers) * p.block() + p.outside},
          {"training_flops", "FLOP of the whole training", flops},
          {"compute_optimal_parameters",
           "parameters that would make the most of them (Liang et al. 2024, from 1e17 FLOP)", best.parameters},
          {"compute_optimal_tokens", "tokens of pictures that these would see", best.tokens}};
}

template <typename Run>
void print_found(const PlanConfig& config, const std::vector<Found<Run>>& found, const Machine& machine,
                 const std::vector<std::string>& hints) {
  Json list = Json::array();
  std::vector<Plan> plans;
  for (size_t i = 0; i < std::min(found.size(), listed); ++i) {
    plans.push_back(found[i].plan);
    list.push_back(to_json(found[i].plan, machine));
  }
  for (const std::string& hint : hints) list[0]["advice"].push_back(hint);
  if (config.json) {
    print(json_text(list, 2) + "\n");
    return;
  }
  const auto words = list[0]["advice"].get<std::vector<std::string>>();
  print(describe(plans, machine) + fmt::format("\nThe first: {}\n", fmt::join(words, "\n")));
}

int64_t ranks_of(const PlanConfig& config, const Machine& machine) {
  return config.ranks > 0 ? config.ranks : machine.devices;
}

// `search(ranks)` finds the plans for so many ranks, best first. Hints at half of them, half of those and so on, as
// long as a step takes at most a tenth longer.
template <typename Search>
auto found_with_hints(const Search& search, int64_t ranks, const Machine& machine) {
  const auto found = search(ranks);
  check(!found.empty(), "plan: no mesh divides the model and the batch over these ranks; try another --ranks");
  std::vector<std::string> hints;
  int64_t enough = ranks;
  double seconds = 0;
  while (enough % 2 == 0) {
    const auto fewer = search(enough / 2);
    if (fewer.empty() || !fewer[0].plan.fits(machine)) break;
    if (fewer[0].plan.time.step() > 1.1 * found[0].plan.time.step()) break;
    enough /= 2;
    seconds = fewer[0].plan.time.step();
  }
  if (enough < ranks)
    hints.push_back(fmt::format("{} of the {} ranks would do: a step would take {:.4g} s.", enough, ranks, seconds));
  return std::pair(found, hints);
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
    const auto search = [&](int64_t ranks) { return search_gpt(model, ranks, config.global_batch, machine); };
    const auto [found, hints] = found_with_hints(search, ranks_of(config, machine), machine);
    print_found(config, found, machine, hints);
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
  print_plan(config, plan_gpt(model, e, machine), machine, sizes_of(model, config.global_batch));
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
  if (train.denoiser.start.empty() && std::filesystem::exists(train.denoiser.tokenizer))
    model.text_encoder->vocab_size = open_tokenizer(train.denoiser.tokenizer)->size();
  return model;
}

// Where a plan with a trained text encoder does not fit: what `plan_of` says without it.
void add_text_hint(std::vector<std::string>& hints, const DitModel& model, const Plan& plan, const Machine& machine,
                   const std::function<Plan(const DitModel&)>& plan_of) {
  if (plan.fits(machine) || !model.text_encoder) return;
  DitModel cached = model;
  cached.text_encoder.reset();
  const Plan without = plan_of(cached);
  hints.push_back(fmt::format("With --text cached, the texts' states stored before, {:.1f} GiB are needed (mesh {}){}.",
                              without.memory.peak() / 0x1p30, without.mesh,
                              without.fits(machine) ? ", which fits" : ""));
}

int plan_of_denoiser(const PlanConfig& config, const Machine& machine) {
  const TrainConfig train = read_train_config(config.train_config, {}, StartModel::may_be_missing);
  const DitModel model = dit_model(config, train, machine);
  const int64_t configured = train.experts.batch > 0 ? train.experts.batch : train.batch;
  const int64_t batch = config.global_batch > 0 ? config.global_batch : configured;
  if (config.search) {
    const int64_t most_zero = config.zero < 0 ? 3 : config.zero;
    const auto search = [&](int64_t ranks) { return search_dit(model, ranks, batch, most_zero, machine); };
    auto [found, hints] = found_with_hints(search, ranks_of(config, machine), machine);
    add_text_hint(hints, model, found[0].plan, machine, [&](const DitModel& cached) {
      return search_dit(cached, found[0].plan.ranks, batch, most_zero, machine)[0].plan;
    });
    print_found(config, found, machine, hints);
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
  std::vector<std::string> hints;
  add_text_hint(hints, model, plan, machine, [&](const DitModel& cached) { return plan_dit(cached, run, machine); });
  print_plan(config, plan, machine, sizes_of(model, plan, train.steps), hints);
  return exit_done;
}

}  // namespace

int run_plan(const PlanConfig& config) {
  if (config.calibrate) {
    Machine machine = measure_machine(std::max<int64_t>(1, config.ranks));
    print(print_fields([&](ConfigVisitor& v) { visit(v, machine); }));
    return exit_done;
  }
  const Machine machine = read_machine(config.machine);
  return config.gpt.empty() ? plan_of_denoiser(config, machine) : plan_of_gpt(config, machine);
}

}  // namespace baton
