#include "engine/config/train_start.h"

#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/io/model_config.h"
#include "engine/io/pipeline_directory.h"

namespace baton {
namespace {

TrainConfig as_in(const PipelineDirectory& start) {
  TrainConfig c;
  const PipelineDefaults& defaults = start.defaults();
  c.denoiser = {.vae = start.path() / "vae",
                .tokenizer = start.tokenizer_folder(0),
                .start = start.path(),
                .transformer = start.expert_configs()[0],
                .text_encoder = read_t5_config(start.path() / "text_encoder" / "config.json", "UMT5EncoderModel"),
                .max_tokens = defaults.max_sequence_length};
  c.data.size = defaults.width.value_or(c.data.size);
  c.experts.count = start.experts();
  c.experts.boundaries = start.ranges().boundaries();
  c.t.shift = c.sampling.shift = defaults.shift.value_or(start.sampler_config().flow_shift);
  c.sampling.steps = defaults.steps.value_or(c.sampling.steps);
  if (!defaults.guidance.empty()) c.sampling.guidance = defaults.guidance[0];
  return c;
}

// `section` as the model has it and as the config says, in the keys of their config.json.
void check_same(const std::string& section, const Json& model, const Json& config, const std::string& start) {
  for (const auto& [key, value] : model.items())
    check(config[key] == value, "{}.{}: {}, but the weights of model.start ({}) are of a network with {}; leave it out",
          section, key, config[key].dump(), start, value.dump());
}

void check_agrees(const TrainConfig& c, const TrainConfig& model) {
  const std::string& start = c.denoiser.start;
  check_same("model.transformer", wan_transformer_json(model.denoiser.transformer),
             wan_transformer_json(c.denoiser.transformer), start);
  const Path vae = Path(c.denoiser.vae) / "config.json";  // a plan may be made before it is there
  const int64_t read = model.denoiser.transformer.in_channels,
                made = std::filesystem::exists(vae) ? read_wan_vae_config(vae).z_dim : read;
  check(made == read,
        "model.vae: the latents of {} have {} channels, but the denoisers of model.start ({}) read {}; leave it out",
        c.denoiser.vae, made, start, read);
  check_same("model.text_encoder", t5_json(model.denoiser.text_encoder), t5_json(c.denoiser.text_encoder), start);
  if (model.experts.count == 1) return;  // one denoiser may become any experts
  check(c.experts.count == model.experts.count,
        "experts.count: {}, but model.start ({}) has {} experts; leave it out, or start from a model with one",
        c.experts.count, start, model.experts.count);
  check(c.experts.boundaries == model.experts.boundaries,
        "experts.boundaries: {}, but the experts of model.start ({}) hand over at {}; leave them out",
        c.experts.boundaries, start, model.experts.boundaries);
}

}  // namespace

TrainConfig read_train_config(const Path& file, std::span<const std::string> overrides, StartModel start) {
  TrainConfig c;
  const auto read = [&] { read_fields(file, overrides, [&](ConfigVisitor& v) { visit(v, c); }); };
  read();
  const bool described = start == StartModel::may_be_missing && !std::filesystem::exists(c.denoiser.start);
  if (c.kind == TrainKind::denoiser && !c.denoiser.start.empty() && !described) {
    const TrainConfig model = as_in(PipelineDirectory(c.denoiser.start));
    c = model;
    read();
    check_agrees(c, model);
  }
  resolve(c);
  return c;
}

}  // namespace baton
