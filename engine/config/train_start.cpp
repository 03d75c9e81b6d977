#include "engine/config/train_start.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/io/model_config.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/tensor_store.h"
#include "engine/ops/elementwise.h"

namespace baton {
namespace {

// A training has one text encoder and experts that are alike.
void check_can_go_on(const PipelineDirectory& start) {
  const std::string where = "model.start: " + start.path().string();
  check(start.text_encoders() == 1, "{} has {} text encoders; training goes on with one; start from another model",
        where, start.text_encoders());
  check(start.text_encoder_class(0) == "UMT5EncoderModel",
        "{} has a text encoder of the class {}; training goes on with UMT5EncoderModel; start from another model",
        where, start.text_encoder_class(0));
  const auto json_of = [&](int expert) { return wan_transformer_json(start.expert_configs()[expert]); };
  for (int i = 1; i < start.experts(); ++i)
    check(
        json_of(i) == json_of(0),
        "{}: {} and {} are different networks; training goes on with experts that are alike; start from another model",
        where, numbered("transformer", 0), numbered("transformer", i));
}

TrainConfig as_in(const PipelineDirectory& start) {
  check_can_go_on(start);
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
  if (!defaults.guidance.empty()) c.sampling.guidance = defaults.guidance;
  c.sampling.sampler = defaults.sampler.value_or("");
  if (defaults.height != c.data.size) c.sampling.height = defaults.height.value_or(0);
  return c;
}

// `section` as the model has it and as the config says, in the keys of their config.json.
void check_same(const std::string& section, const Json& model, const Json& config, const std::string& start) {
  for (const auto& [key, value] : model.items())
    check(config[key] == value, "{}.{}: {}, but the weights of model.start ({}) are of a network with {}; leave it out",
          section, key, config[key].dump(), start, value.dump());
}

// The weights as write_pipeline() stores them: a model's copy of an autoencoder in f32 is rounded.
bool same_in_bf16(const Path& one, const Path& other) {
  TensorStore a(one), b(other);
  if (a.names() != b.names()) return false;
  const auto rounded = [](const Tensor& x) { return x.dtype() == DType::f32 ? cast(x, DType::bf16) : x; };
  return std::ranges::all_of(a.names(), [&](const std::string& name) {
    const Tensor x = rounded(a.get(name)), y = rounded(b.get(name));
    return x.shape() == y.shape() && x.dtype() == y.dtype() && std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
  });
}

// The denoisers know the latents of one autoencoder alone.
void check_same_autoencoder(const Path& vae, const Path& of_start, const std::string& start) {
  if (vae == of_start || !exists(vae / "config.json")) return;  // a plan may be made before it is there
  const WanVaeConfig made = read_wan_vae_config(vae / "config.json"),
                     read = read_wan_vae_config(of_start / "config.json");
  check(made.z_dim == read.z_dim,
        "model.vae: the latents of {} have {} channels, but the denoisers of model.start ({}) read {}; leave it out",
        vae.string(), made.z_dim, start, read.z_dim);
  check(wan_vae_json(made) == wan_vae_json(read) && same_in_bf16(vae, of_start),
        "model.vae: {} is another autoencoder than that of model.start ({}), whose denoisers know no other latents; "
        "leave it out, or train without model.start",
        vae.string(), start);
}

// Its text encoder knows tokens by the numbers that one tokenizer gives them.
void check_same_tokenizer(const Path& tokenizer, const Path& of_start, const std::string& start) {
  if (tokenizer == of_start || !exists(tokenizer)) return;
  check(hash_files(tokenizer, {}, {"."}) == hash_files(of_start, {}, {"."}),
        "model.tokenizer: {} is another tokenizer than that of model.start ({}), whose text encoder knows no other "
        "tokens; leave it out, or train without model.start",
        tokenizer.string(), start);
}

void check_agrees(const TrainConfig& c, const TrainConfig& model) {
  const std::string& start = c.denoiser.start;
  check_same("model.transformer", wan_transformer_json(model.denoiser.transformer),
             wan_transformer_json(c.denoiser.transformer), start);
  check_same_autoencoder(c.denoiser.vae, model.denoiser.vae, start);
  check_same_tokenizer(c.denoiser.tokenizer, model.denoiser.tokenizer, start);
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
