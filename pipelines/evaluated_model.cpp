#include "pipelines/evaluated_model.h"

#include <nlohmann/json.hpp>

#include "engine/config/yaml.h"
#include "engine/core/error.h"
#include "engine/io/json.h"
#include "engine/io/pipeline_directory.h"
#include "engine/io/stored_parameters.h"
#include "pipelines/training_data.h"

namespace baton {
namespace {

EvaluatedModel load_pipeline(const Path& folder, DType compute) {
  const PipelineDirectory directory(folder);
  check(directory.text_encoders() == 1, "{}: {} text encoders; losses can be measured with one", folder.string(),
        directory.text_encoders());
  EvaluatedModel model;
  model.vae = folder / "vae";
  model.size = directory.defaults().width.value_or(0);
  model.tokenizer = open_tokenizer(directory.tokenizer_folder(0));
  model.text_encoder = directory.load_text_encoder(0, compute);
  for (int i = 0; i < directory.experts(); ++i) model.experts.push_back(directory.load_expert(i, compute));
  model.mixture.ranges = directory.ranges();
  model.mixture.max_tokens = directory.defaults().max_sequence_length;
  return model;
}

// The weights of one network of a checkpoint: their moving average where there is one.
TensorStore network_weights(const Path& folder) {
  const Path average = folder / "ema.safetensors";
  return TensorStore(std::filesystem::exists(average) ? average : folder / "weights.safetensors");
}

template <typename Model, typename Config>
std::unique_ptr<Model> load_network(TensorStore store, const Config& config, DType compute) {
  StoredParameters parameters(store);
  return std::make_unique<Model>(config, parameters, compute);
}

EvaluatedModel load_checkpoint(const Path& folder, DType compute) {
  const std::string where = (folder / "state.json").string();
  JsonReader state = JsonReader::file(folder / "state.json");
  auto config = read_config_text<TrainConfig>(state.required<std::string>("config"), where);
  check(config.kind == TrainKind::denoiser, "{}: this is no training of a denoiser", where);
  JsonReader trainer = state.object("trainer");
  EvaluatedModel model;
  model.vae = config.denoiser.vae;
  model.size = config.data.size;
  model.tokenizer = open_tokenizer(config.denoiser.tokenizer);
  TensorStore text = network_weights(folder / "text_encoder");
  // The table may have more rows than the tokenizer has tokens: that of model.start, which may be gone by now.
  config.denoiser.text_encoder.vocab_size = text.entry("shared.weight").shape[0];
  complete_sizes(config, *model.tokenizer);
  model.text_encoder = load_network<T5Encoder>(std::move(text), config.denoiser.text_encoder, compute);
  for (int i = 0; i < trainer.required<int>("experts"); ++i)
    model.experts.push_back(load_network<WanTransformer>(network_weights(folder / numbered("transformer", i)),
                                                         config.denoiser.transformer, compute));
  model.mixture.ranges = ExpertRanges(trainer.required<std::vector<double>>("boundaries"));
  model.mixture.max_tokens = config.denoiser.max_tokens;
  return model;
}

}  // namespace

EvaluatedModel load_evaluated_model(const Path& folder, DType compute) {
  const bool checkpoint = std::filesystem::exists(folder / "state.json");
  EvaluatedModel model = checkpoint ? load_checkpoint(folder, compute) : load_pipeline(folder, compute);
  model.mixture.text_encoder = model.text_encoder.get();
  for (const auto& expert : model.experts) model.mixture.experts.push_back(expert.get());
  return model;
}

std::string hash_evaluated_model(const Path& folder) {
  const Path manifest = folder / "manifest.json";  // of a checkpoint
  return std::filesystem::exists(folder / "state.json") ? hash_file(manifest) : PipelineDirectory(folder).fingerprint();
}

}  // namespace baton
