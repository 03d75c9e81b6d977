#include "engine/io/pipeline_directory.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/core/parallel.h"
#include "engine/io/model_config.h"
#include "engine/io/sampler_config.h"
#include "engine/io/stored_parameters.h"

namespace baton {

namespace fs = std::filesystem;

namespace {

constexpr int most_experts = 64, most_text_encoders = 8;

// A part's entry is ["library", "Class"]; [null, null] means absent.
std::optional<std::string> part_class(JsonReader& index, const std::string& part) {
  if (!index.has(part)) return std::nullopt;
  const Json& entry = index.raw(part);
  check(entry.is_array() && entry.size() == 2, "{}: expected [\"library\", \"Class\"]", index.where(part));
  if (entry[1].is_null()) return std::nullopt;
  check(entry[1].is_string(), "{}: expected [\"library\", \"Class\"]", index.where(part));
  return entry[1].get<std::string>();
}

void expect_class(JsonReader& index, const std::string& part, std::initializer_list<std::string_view> known) {
  const auto found = part_class(index, part);
  check(found.has_value(), "{}: the pipeline has no {}", index.where(part), part);
  check(std::find(known.begin(), known.end(), *found) != known.end(), "{}: the class {} is unknown; known: {}",
        index.where(part), *found, fmt::join(known, ", "));
}

// boundary_ratio as in diffusers, where none at all gives every step to the first of two experts, or boundary_ratios.
ExpertRanges read_ranges(JsonReader& index, int experts) {
  std::vector<double> boundaries = index.optional("boundary_ratios", std::vector<double>{});
  if (index.has("boundary_ratio")) {
    const double ratio = index.required<double>("boundary_ratio");
    check(boundaries.empty() || boundaries == std::vector{ratio}, "{} is {}, but boundary_ratios are {}",
          index.where("boundary_ratio"), ratio, boundaries);
    boundaries = {ratio};
  }
  if (experts == 1 && boundaries == std::vector{0.0}) boundaries.clear();
  if (experts == 2 && boundaries.empty()) {
    warn_once(fmt::format("{}: none, so that transformer_2 has no step to do", index.where("boundary_ratio")));
    boundaries = {0};
  }
  check(std::ssize(boundaries) + 1 == experts, "{}: {} experts need {} boundaries, there are {}",
        index.where("boundary_ratios"), experts, experts - 1, boundaries.size());
  return ExpertRanges(boundaries);
}

template <typename Model, typename Config>
std::unique_ptr<Model> load(const Path& folder, const Config& config, DType compute) {
  TensorStore store(folder);
  StoredParameters parameters(store);
  auto model = std::make_unique<Model>(config, parameters, compute);
  parameters.finish();
  return model;
}

}  // namespace

std::string numbered(const std::string& name, int index) {
  return index == 0 ? name : fmt::format("{}_{}", name, index + 1);
}

PipelineDirectory::PipelineDirectory(const Path& folder) : path_(folder) {
  check(!fs::is_regular_file(folder),
        "{}: this is a file; models in single files are not read yet, name a folder with model_index.json",
        folder.string());
  check(fs::is_directory(folder),
        "{}: no such folder; a model is a folder with model_index.json, as diffusers saves a pipeline",
        folder.string());
  read_index();
  for (int i = 0; i < experts(); ++i)
    expert_configs_.push_back(read_wan_transformer_config(expert_folder(i) / "config.json"));
  check_experts_agree();
  vae_config_ = read_wan_vae_config(path_ / "vae" / "config.json");
  check(vae_config_.z_dim == expert_configs_[0].in_channels && vae_config_.z_dim == expert_configs_[0].out_channels,
        "{}: the VAE's latents have {} channels, the denoiser reads {} and writes {}", folder.string(),
        vae_config_.z_dim, expert_configs_[0].in_channels, expert_configs_[0].out_channels);
}

void PipelineDirectory::read_index() {
  JsonReader index = JsonReader::file(path_ / "model_index.json");
  const auto name = index.required<std::string>("_class_name");
  check(name == "WanPipeline", "{}: the pipeline class {} is unknown; known: WanPipeline", index.where("_class_name"),
        name);
  check(!index.optional("expand_timesteps", false), "{}: per-token timesteps (Wan 2.2 TI2V) are not supported",
        index.where("expand_timesteps"));
  int count = 0;
  while (count < most_experts && part_class(index, numbered("transformer", count))) ++count;
  check(count > 0, "{}: the pipeline has no transformer", index.where("transformer"));
  for (int i = 0; i < count; ++i) expect_class(index, numbered("transformer", i), {"WanTransformer3DModel"});
  for (int i = count; i <= most_experts; ++i)
    check(!part_class(index, numbered("transformer", i)), "{}: more than {} experts, or none before it",
          index.where(numbered("transformer", i)), most_experts);
  ranges_ = read_ranges(index, count);
  check(!index.has("shared"), "{}: experts that share tensors are not supported yet", index.where("shared"));

  for (int i = 0; i < most_text_encoders && part_class(index, numbered("text_encoder", i)); ++i) {
    expect_class(index, numbered("text_encoder", i), {"UMT5EncoderModel", "T5EncoderModel", "CLIPTextModel"});
    check(part_class(index, numbered("tokenizer", i)).has_value(), "{}: the pipeline has none",
          index.where(numbered("tokenizer", i)));  // of which kind, its own folder says
    architectures_.push_back(*part_class(index, numbered("text_encoder", i)));
  }
  check(!architectures_.empty(), "{}: the pipeline has no text_encoder", index.where("text_encoder"));
  expect_class(index, "vae", {"AutoencoderKLWan"});
  if (index.has("baton")) {
    JsonReader baton = index.object("baton");
    if (baton.has("defaults")) read_defaults(baton.object("defaults"));
    baton.finish();
  }
  scheduler_class_ = part_class(index, "scheduler").value_or("");
  index.ignore("_diffusers_version _name_or_path");
  index.warn_of_unread();
}

// Within what the same settings may be in the command that draws.
void PipelineDirectory::read_defaults(JsonReader r) {
  if (r.has("steps")) defaults_.steps = r.integer("steps", 1, 10'000);
  if (r.has("width")) defaults_.width = r.integer("width", 1, most_pixels_a_side);
  if (r.has("height")) defaults_.height = r.integer("height", 1, most_pixels_a_side);
  if (r.has("sampler")) {
    defaults_.sampler = r.required<std::string>("sampler");
    check(std::ranges::count(sampler_names(), *defaults_.sampler) == 1, "{}: {} is unknown; known: {}",
          r.where("sampler"), *defaults_.sampler, fmt::join(sampler_names(), ", "));
  }
  if (r.has("shift")) {
    defaults_.shift = r.required<double>("shift");
    check(*defaults_.shift > 0 && *defaults_.shift <= 1000, "{} is {}, expected above 0, at most 1000",
          r.where("shift"), *defaults_.shift);
  }
  defaults_.guidance = r.optional("guidance", std::vector<double>{});
  for (const double guidance : defaults_.guidance)
    check(guidance >= 0 && guidance <= 1000, "{}: {} is out of range, expected 0 to 1000", r.where("guidance"),
          guidance);
  const int64_t values = std::ssize(defaults_.guidance);
  check(values <= 1 || values == experts(), "{}: {} values for {} experts, expected one, or one for each",
        r.where("guidance"), values, experts());
  if (r.has("max_sequence_length")) defaults_.max_sequence_length = r.integer("max_sequence_length", 2, 65536);
  r.finish();
}

// The latent is handed from one expert to the next, so they must read and write the same kind.
void PipelineDirectory::check_experts_agree() const {
  const WanTransformerConfig& first = expert_configs_[0];
  for (int i = 1; i < experts(); ++i) {
    const WanTransformerConfig& c = expert_configs_[i];
    check(c.in_channels == first.in_channels && c.out_channels == first.out_channels &&
              c.patch_size == first.patch_size && c.text_dim == first.text_dim,
          "{}: in_channels, out_channels, patch_size and text_dim differ from those of {}",
          (expert_folder(i) / "config.json").string(), (expert_folder(0) / "config.json").string());
  }
}

Path PipelineDirectory::expert_folder(int expert) const { return path_ / numbered("transformer", expert); }
SamplerConfig PipelineDirectory::sampler_config() const {
  return read_sampler_config(path_ / "scheduler" / "scheduler_config.json", scheduler_class_);
}
Json PipelineDirectory::scheduler_json(double flow_shift) const {
  return baton::scheduler_json(path_ / "scheduler" / "scheduler_config.json", scheduler_class_, flow_shift);
}
Path PipelineDirectory::tokenizer_folder(int index) const { return path_ / numbered("tokenizer", index); }

int64_t PipelineDirectory::size_multiple() const {
  const auto& patch = expert_configs_[0].patch_size;
  return vae_config_.scale_factor_spatial * std::lcm(patch[1], patch[2]);
}

std::unique_ptr<WanTransformer> PipelineDirectory::load_expert(int expert, DType compute, const Layout& layout) const {
  TensorStore store(expert_folder(expert));
  StoredParameters parameters(store);
  auto model = std::make_unique<WanTransformer>(expert_configs_[expert], parameters, compute, layout);
  if (model->stages().ranks() == 1) parameters.finish();  // else other stages have the rest
  model->prepare();
  store.release_pages();  // packed weights are not read again
  return model;
}

std::unique_ptr<TextEncoder> PipelineDirectory::load_text_encoder(int index, DType compute) const {
  const Path folder = path_ / numbered("text_encoder", index);
  const auto fits = [&](int64_t width) {
    const int64_t text_dim = expert_configs_[0].text_dim;
    check(width == text_dim, "{} gives states of {} channels, the denoiser's text_dim is {}", folder.string(), width,
          text_dim);
  };
  if (architectures_[index] == "CLIPTextModel") {
    const ClipTextConfig config = read_clip_text_config(folder / "config.json");
    fits(config.hidden_size);
    return load<ClipText>(folder, config, compute);
  }
  const T5EncoderConfig config = read_t5_config(folder / "config.json", architectures_[index]);
  fits(config.d_model);
  return load<T5Encoder>(folder, config, compute);
}

std::unique_ptr<WanVae> PipelineDirectory::load_vae(DType compute) const {
  return load<WanVae>(path_ / "vae", vae_config_, compute);
}

int64_t PipelineDirectory::expert_bytes(int expert) const {
  const TensorStore store(expert_folder(expert));
  int64_t bytes = 0;
  for (const std::string& name : store.names()) bytes += store.entry(name).end - store.entry(name).begin;
  return bytes;
}

std::string PipelineDirectory::hash() const { return hash_parts(hash_file); }
std::string PipelineDirectory::fingerprint() const { return hash_parts(hash_samples); }

std::string PipelineDirectory::hash_parts(HashFile hash_of) const {
  std::vector<std::string> parts{"vae", "scheduler"};
  for (int i = 0; i < experts(); ++i) parts.push_back(numbered("transformer", i));
  for (int i = 0; i < text_encoders(); ++i)
    for (const char* part : {"text_encoder", "tokenizer"}) parts.push_back(numbered(part, i));
  std::erase_if(parts, [&](const std::string& part) { return !fs::exists(path_ / part); });
  return hash_files(path_, {"model_index.json"}, parts, hash_of);
}

std::string hash_files(const Path& root, std::vector<std::string> names, const std::vector<std::string>& parts,
                       HashFile hash_of) {
  for (const std::string& part : parts)
    for (const auto& entry : fs::directory_iterator(root / part)) {
      const std::string name = entry.path().filename().string(), end = entry.path().extension().string();
      const bool read = end == ".safetensors" || end == ".json" || end == ".model" || name == "merges.txt";
      if (read && !name.starts_with('.')) names.push_back(part + "/" + name);
    }
  std::ranges::sort(names);
  std::vector<std::string> lines(names.size());
  for_each_in_parallel(std::ssize(names),
                       [&](int64_t i) { lines[i] = fmt::format("{} {}", names[i], hash_of(root / names[i])); });
  return hash_bytes(fmt::format("{}", fmt::join(lines, "\n")));
}

}  // namespace baton
