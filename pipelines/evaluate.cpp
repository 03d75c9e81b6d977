#include "pipelines/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/print.h"
#include "engine/io/model_config.h"
#include "engine/io/stored_parameters.h"
#include "engine/models/input_sizes.h"
#include "engine/parallel/region.h"
#include "engine/train/validation.h"
#include "pipelines/evaluate_autoencoder.h"
#include "pipelines/evaluated_model.h"
#include "pipelines/ranks.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

// Evenly spaced pictures of a data set as latents, with their captions as one model's tokens.
class GridData : public ValidationData {
 public:
  GridData(const std::vector<Tensor>& latents, const std::vector<std::string>& captions, const EvaluatedModel& model)
      : latents_(latents), captions_(captions), model_(model) {}
  int64_t size() const override { return static_cast<int64_t>(latents_.size()); }
  DenoiserSample item(int64_t index) const override {
    return {latents_[index], caption_tokens(*model_.tokenizer, captions_[index], model_.mixture.max_tokens)};
  }

 private:
  const std::vector<Tensor>& latents_;
  const std::vector<std::string>& captions_;
  const EvaluatedModel& model_;
};

struct EncodedPictures {
  std::vector<Tensor> latents;  // each [C, 1, h, w], undefined where it is another rank's
  std::vector<std::string> captions;
};

// Pictures of this rank.
struct Share {
  int64_t first, end;
  Share(int64_t items, const Group& ranks) {
    const std::vector<int64_t> parts = even_parts(items, ranks.size());
    first = part_start(parts, ranks.rank());
    end = first + parts[ranks.rank()];
  }
  int64_t count() const { return end - first; }
};

EncodedPictures encode_pictures(const EvaluateConfig& config, const Path& vae_folder, int64_t size, Group& ranks,
                                ProgressMode shown) {
  DataConfig data;
  data.folder = config.data;
  data.size = size;
  Dataset dataset = open_and_report(data);
  const auto all = static_cast<int64_t>(dataset.items.size()), items = std::min(config.items, all);
  std::vector<DataItem> chosen;
  for (int64_t i = 0; i < items; ++i) chosen.push_back(std::move(dataset.items[i * all / items]));
  dataset.items = std::move(chosen);
  const Pictures pictures(dataset, data);
  const auto vae = load_vae(vae_folder);
  EncodedPictures result;
  result.latents.resize(items);
  std::string hashes;
  for (const DataItem& item : dataset.items) {
    result.captions.push_back(item.captions[0].text);
    hashes += hash_file(item.picture);
  }
  check_agreement("data sets",
                  {{"number of pictures", fmt::format("{}", all)},
                   {"hash of the captions", hash_captions(dataset)},
                   {"hash of the pictures", hash_bytes(hashes)}},
                  ranks);
  const Share mine(items, ranks);
  Progress progress(shown, "encode", mine.count());
  for (int64_t i = mine.first; i < mine.end; ++i) {
    const Draw draw{.item = i};
    const Tensor latents = normalised_latents(*vae, pictures.whole(std::span(&draw, 1)));  // [1, C, h, w]
    result.latents[i] = latents.alias({latents.dim(1), 1, latents.dim(2), latents.dim(3)});
    progress.update(i + 1 - mine.first);
  }
  return result;
}

// Of the whole grid, on all ranks.
std::vector<double> losses_of(const Mixture& mixture, const ValidationGrid& grid, int64_t batch, Group& ranks,
                              Progress& progress) {
  const Share mine(std::ssize(grid.samples) / grid.bins, ranks);
  const auto begin = grid.samples.begin();
  const ValidationGrid part{{begin + mine.first * grid.bins, begin + mine.end * grid.bins}, grid.bins};
  std::vector<double> losses(grid.samples.size());
  const auto done = [&](int64_t samples) { progress.update(samples / grid.bins); };
  std::ranges::copy(validation_losses(mixture, part, batch, done), losses.begin() + mine.first * grid.bins);
  ranks.all_reduce(values(std::span(losses))).wait();
  return losses;
}

std::string cell(const Json& value) { return value.is_null() ? "-" : fmt::format("{:.5f}", value.get<double>()); }

void print_table(const EvaluateConfig& config, const std::vector<Json>& results, const ExpertRanges& ranges) {
  const auto row = [&](const std::string& title, const auto& value) {
    std::string line = fmt::format("{:24}", title);
    for (const Json& result : results) line += fmt::format("{:>12}", cell(value(result)));
    print(line + "\n");
  };
  std::string head = fmt::format("{:24}", "noise level t");
  for (size_t m = 0; m < results.size(); ++m) {
    print(fmt::format("model {}: {}\n", m + 1, printable_line(config.models[m])));
    head += fmt::format("{:>12}", fmt::format("model {}", m + 1));
  }
  print(head + "\n");
  for (int64_t bin = 0; bin < config.t_bins; ++bin) {
    const auto edge = [&](int64_t i) { return static_cast<double>(i) / static_cast<double>(config.t_bins); };
    row(fmt::format("{:.3f} to {:.3f}", edge(bin), edge(bin + 1)),
        [&](const Json& result) { return result["bins"][bin]; });
  }
  for (int expert = 0; ranges.count() > 1 && expert < ranges.count(); ++expert) {
    const NoiseRange range = ranges.range(expert);
    row(fmt::format("expert {}: {:.3f} to {:.3f}", expert, range.low, range.high),
        [&](const Json& result) { return result["experts"][expert]; });
  }
  row("all", [](const Json& result) { return result["loss"]; });
}

}  // namespace

void visit(ConfigVisitor& v, EvaluateConfig& c) {
  v("data", c.data, "data set: folder with captions or metadata.jsonl, or a .jsonl file");
  v("size", c.size, "side of the pictures in pixels (default: the model's)", {0, 8192});
  v("items", c.items, "pictures, evenly spaced in the data set", {1, 1'000'000});
  v("t_bins", c.t_bins, "equal bins of the noise level", {1, 1000});
  v("batch", c.batch, "samples per forward pass", {1, 1 << 16});
  v("autoencoder", c.autoencoder, "how well the models' autoencoders give the pictures back, in dB, instead of losses");
  v("json", c.json, "one JSON object on stdout instead of a table");
}

namespace {

// On each rank, with models of its own.
int evaluate(const EvaluateConfig& config, const Runtime& runtime, Group& ranks) {
  std::vector<EvaluatedModel> models;
  ExpertRanges ranges;
  for (const std::string& folder : config.models) {
    models.push_back(load_evaluated_model(folder, runtime.compute));
    if (models.back().mixture.ranges.count() > ranges.count()) ranges = models.back().mixture.ranges;
    check(wan_vae_json(read_wan_vae_config(models.back().vae / "config.json")) ==
              wan_vae_json(read_wan_vae_config(models[0].vae / "config.json")),
          "evaluate: {} and {} have different autoencoders, their losses cannot be compared", config.models[0], folder);
  }
  const int64_t size = config.size > 0 ? config.size : models[0].size;
  check(size > 0, "evaluate: {} does not say the size of its pictures; give --size", config.models[0]);
  const WanVaeConfig vae = read_wan_vae_config(models[0].vae / "config.json");
  check_picture_size(size, vae, models[0].vae);
  const int64_t side = size / vae.scale_factor_spatial;
  for (const EvaluatedModel& model : models) check_latents(model.experts[0]->config(), {vae.z_dim, 1, side, side});
  const ProgressMode shown = ranks.rank() == 0 ? runtime.progress : ProgressMode::none;
  const EncodedPictures pictures = encode_pictures(config, models[0].vae, size, ranks, shown);

  std::vector<Json> results;
  for (size_t m = 0; m < models.size(); ++m) {
    const GridData data(pictures.latents, pictures.captions, models[m]);
    const ValidationGrid grid = make_validation_grid(data, config.items, config.t_bins);
    Progress progress(shown, "evaluate", Share(std::ssize(pictures.latents), ranks).count());
    const std::vector<double> losses = losses_of(models[m].mixture, grid, config.batch, ranks, progress);
    results.push_back(summarize_validation(grid, losses, ranges));
    results.back()["model"] = config.models[m];
    if (ranks.rank() == 0) spdlog::info("{}: {}", config.models[m], cell(results.back()["loss"]));
    int64_t stop = runtime.stop;
    ranks.broadcast(values(std::span(&stop, 1)), 0).wait();
    if (stop) return exit_interrupted;
  }
  if (ranks.rank() > 0) return exit_done;
  if (config.json)
    print(json_text({{"boundaries", ranges.boundaries()}, {"models", results}}) + "\n");
  else
    print_table(config, results, ranges);
  return exit_done;
}

}  // namespace

// What all ranks must have alike, but the pictures, which are opened later.
static Terms terms_of(EvaluateConfig config, const Runtime& runtime) {
  constexpr std::string_view may_differ[] = {"data"};
  ParallelConfig parallel = runtime.parallel;
  Terms terms = config_terms([&](ConfigVisitor& v) { visit(v, config), visit(v, parallel); }, may_differ);
  terms.emplace_back("dtype of the products", name(runtime.compute));
  terms.emplace_back("number of models", fmt::format("{}", config.models.size()));
  for (const std::string& folder : config.models) terms.emplace_back("hash of a model", hash_evaluated_model(folder));
  return terms;
}

int run_evaluate(const EvaluateConfig& config, const Runtime& runtime) {
  check(!config.models.empty(), "evaluate: name a model folder or a checkpoint");
  check(!config.data.empty(), "evaluate: --data is missing; name the folder of a data set");
  const MeshSpec mesh = parse_mesh(runtime.parallel.mesh);
  if (config.autoencoder) {
    check(mesh.ranks() == 1 && runtime.parallel.ranks <= 1, "evaluate: --autoencoder works on one rank");
    return evaluate_autoencoders(config, runtime);
  }
  check(mesh.cell() == 1 && mesh.size(Axis::ep) == 1, "evaluate: ranks are replicas (dp) that share the pictures out");
  std::atomic<int> code = exit_done;
  const auto terms = [&] { return terms_of(config, runtime); };
  on_ranks(runtime.parallel, runtime, {}, terms, [&](const Layout& layout) {
    if (const int mine = evaluate(config, runtime, layout.everyone()); mine != exit_done) code = mine;
  });
  return code;
}

}  // namespace baton
