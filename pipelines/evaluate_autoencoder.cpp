#include "pipelines/evaluate_autoencoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/print.h"
#include "engine/io/pipeline_directory.h"
#include "engine/models/input_sizes.h"
#include "engine/train/vae_report.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

// Of a pipeline folder, or a folder of its own.
Path autoencoder_of(const Path& folder) { return exists(folder / "vae") ? folder / "vae" : folder; }

int64_t picture_size(const EvaluateConfig& config) {
  if (config.size > 0) return config.size;
  const Path folder = config.models[0];
  const int64_t size = exists(folder / "model_index.json") ? PipelineDirectory(folder).defaults().width.value_or(0) : 0;
  check(size > 0, "evaluate: {} does not say the size of its pictures; give --size", folder.string());
  return size;
}

}  // namespace

int evaluate_autoencoders(const EvaluateConfig& config, const Runtime& runtime) {
  TrainConfig source;
  source.data.folder = config.data;
  source.data.size = picture_size(config);
  DatasetPictures pictures(source);
  const int64_t items = std::min(config.items, pictures.size());
  Json results = Json::array();
  for (const std::string& folder : config.models) {
    const auto vae = load_vae(autoencoder_of(folder));
    check_picture_size(source.data.size, vae->config(), folder);
    Progress progress(runtime.progress, "evaluate", items);
    const VaeReport report = report_vae(*vae, pictures, items, [&](int64_t done) { progress.update(done); });
    const double mean = std::reduce(report.psnr_each.begin(), report.psnr_each.end()) / static_cast<double>(items);
    results.push_back({{"model", folder}, {"psnr", report.psnr}, {"psnr_mean", mean}, {"pictures", items}});
    if (!config.json)
      print(fmt::format("{}: {:.2f} dB over the pixels of {} pictures, {:.2f} dB on average of the pictures\n",
                        printable_line(folder), report.psnr, items, mean));
    if (runtime.stop) return exit_interrupted;
  }
  if (config.json) print(json_text({{"models", results}}) + "\n");
  return exit_done;
}

}  // namespace baton
