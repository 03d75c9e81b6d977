#include "engine/train/write_pipeline.h"

#include <nlohmann/json.hpp>

#include "engine/core/require.h"
#include "engine/io/directory.h"
#include "engine/io/model_config.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/sampler_config.h"
#include "engine/io/tensor_store.h"
#include "engine/io/writable.h"
#include "engine/ops/elementwise.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr int64_t shard_bytes = 16 << 20;
constexpr const char* diffusers_stem = "diffusion_pytorch_model";
constexpr const char* transformers_stem = "model";

void copy_folder(const Path& from, const Path& to) {
  std::error_code error;
  fs::copy(from, to, fs::copy_options::recursive, error);
  if (error) fail_run("{}: copying it to {} failed: {}", from.string(), to.string(), error.message());
}

void write_vae(const Path& from, const Path& to) {
  write_json(to / "config.json", wan_vae_json(read_wan_vae_config(from / "config.json")));
  TensorStore store(from);
  Parameters parameters;
  for (const std::string& name : store.names()) parameters.push_back({name, store.get(name)});
  write_weights(to, diffusers_stem, parameters, true);
}

Json index_json(const PipelineParts& parts, const Json& scheduler) {
  Json index{{"_class_name", "WanPipeline"},
             {"_diffusers_version", "0.42.1"},
             {"expand_timesteps", false},
             {"text_encoder", {"transformers", "UMT5EncoderModel"}},
             {"tokenizer", {"transformers", "T5TokenizerFast"}},
             {"vae", {"diffusers", "AutoencoderKLWan"}},
             {"scheduler", {"diffusers", scheduler.at("_class_name")}},
             {"transformer_2", {nullptr, nullptr}},
             {"boundary_ratio", nullptr}};
  for (int i = 0; i < parts.ranges.count(); ++i)
    index[numbered("transformer", i)] = {"diffusers", "WanTransformer3DModel"};
  const std::vector<double>& boundaries = parts.ranges.boundaries();
  if (boundaries.size() == 1) index["boundary_ratio"] = boundaries[0];
  if (boundaries.size() > 1) index["boundary_ratios"] = boundaries;
  index["baton"] = {{"defaults",
                     {{"width", parts.size},
                      {"height", parts.sampling.height > 0 ? parts.sampling.height : parts.size},
                      {"max_sequence_length", parts.max_tokens},
                      {"steps", parts.sampling.steps},
                      {"guidance", parts.sampling.guidance}}}};
  if (!parts.sampling.sampler.empty()) index["baton"]["defaults"]["sampler"] = parts.sampling.sampler;
  return index;
}

}  // namespace

void write_weights(const Path& folder, const std::string& stem, const Parameters& parameters, bool half) {
  NamedTensors tensors;
  for (const Parameter& p : parameters) {
    const Tensor value = p.value.detach();
    const bool narrows = half && value.dtype() == DType::f32;
    tensors.emplace_back(p.name, narrows ? cast(value, DType::bf16) : value);
  }
  write_safetensors(folder / (stem + ".safetensors"), tensors, {}, shard_bytes);
}

void write_pipeline(const Path& folder, const PipelineParts& parts) {
  require(static_cast<int>(parts.experts.size()) == parts.ranges.count(), "pipeline: {} experts for {} ranges",
          parts.experts.size(), parts.ranges.count());
  AtomicDirectory directory(folder);
  const Path& root = directory.path();
  for (int i = 0; i < parts.ranges.count(); ++i) {
    const Path expert = make_folder(root / numbered("transformer", i));
    write_json(expert / "config.json", wan_transformer_json(parts.transformer));
    write_weights(expert, diffusers_stem, *parts.experts[i], true);
  }
  const Path text_encoder = make_folder(root / "text_encoder");
  write_json(text_encoder / "config.json", t5_json(parts.text_config));
  write_weights(text_encoder, transformers_stem, *parts.text_encoder, true);
  write_vae(parts.vae, make_folder(root / "vae"));
  copy_folder(parts.tokenizer, root / "tokenizer");
  const Json scheduler =
      parts.start.empty() ? unipc_json(parts.shift) : PipelineDirectory(parts.start).scheduler_json(parts.shift);
  write_json(make_folder(root / "scheduler") / "scheduler_config.json", scheduler);
  write_json(root / "model_index.json", index_json(parts, scheduler));
  directory.commit();
}

}  // namespace baton
