#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/diffusion/experts.h"
#include "engine/diffusion/sampler.h"
#include "engine/io/file.h"
#include "engine/io/json.h"
#include "engine/models/text_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/models/wan_vae.h"

namespace baton {

// What a model suggests when the user says nothing: model_index.json -> "baton": {"defaults": {…}}.
struct PipelineDefaults {
  std::optional<int64_t> steps, width, height;
  std::optional<std::string> sampler;
  std::optional<double> shift;
  std::vector<double> guidance;
  int64_t max_sequence_length = 512;  // of a text in tokens, padding included: WanPipeline's default
};

constexpr int64_t most_pixels_a_side = 16384;  // of a picture

using HashFile = std::string (*)(const Path& file);

// A folder in diffusers' layout (WanPipeline), extended to any number of experts and text encoders:
//   model_index.json   transformer/ transformer_2/ …   text_encoder/ (text_encoder_2/ …)   tokenizer/ (tokenizer_2/ …)
//   vae/   scheduler/
// Opening it checks the definition; weights are read when a part is loaded, so a part that nobody uses costs nothing.
class PipelineDirectory {
 public:
  explicit PipelineDirectory(const Path& folder);

  const Path& path() const { return path_; }
  const ExpertRanges& ranges() const { return ranges_; }
  int experts() const { return ranges_.count(); }
  Path expert_folder(int expert) const;  // expert 0 is the noisiest
  const std::vector<WanTransformerConfig>& expert_configs() const { return expert_configs_; }
  const WanVaeConfig& vae_config() const { return vae_config_; }
  const PipelineDefaults& defaults() const { return defaults_; }
  int text_encoders() const { return static_cast<int>(architectures_.size()); }
  const std::string& text_encoder_class(int index) const { return architectures_[index]; }
  Path tokenizer_folder(int index) const;
  SamplerConfig sampler_config() const;
  Json scheduler_json(double flow_shift) const;  // the file behind it, with another shift
  int64_t size_multiple() const;                 // pictures must be a multiple of this many pixels both ways

  // Constant models for sampling, computing in `compute`; of an expert this rank's share.
  std::unique_ptr<WanTransformer> load_expert(int expert, DType compute, const Layout& layout = {}) const;
  std::unique_ptr<TextEncoder> load_text_encoder(int index, DType compute) const;
  std::unique_ptr<WanVae> load_vae(DType compute) const;

  int64_t expert_bytes(int expert) const;  // of the weights on disk
  // Names what decides the pictures: hash_files() of model_index.json and the parts, read whole. The same behind links,
  // and with or without a manifest. Reads all weights: call it when they have been read anyway.
  std::string hash() const;
  // The same from samples of large files, in milliseconds: whether two places have the same model.
  std::string fingerprint() const;

 private:
  void read_index();
  void read_defaults(JsonReader defaults);
  void check_experts_agree() const;
  std::string hash_parts(HashFile hash_of) const;

  Path path_;
  ExpertRanges ranges_;
  std::vector<WanTransformerConfig> expert_configs_;
  std::vector<std::string> architectures_;  // of the text encoders
  std::string scheduler_class_;             // empty: its own file says it
  WanVaeConfig vae_config_;
  PipelineDefaults defaults_;
};

// "name", "name_2", "name_3", … for index 0, 1, 2, …: how diffusers counts its parts.
std::string numbered(const std::string& name, int index);

// Names what models are read from: the xxh3-128 of lines "transformer/config.json HASH", in the order of the names, of
// files `names` below `root`, and of every .json, .model and .safetensors file (and merges.txt) in its folders `parts`.
std::string hash_files(const Path& root, std::vector<std::string> names, const std::vector<std::string>& parts,
                       HashFile hash_of = hash_file);

}  // namespace baton
