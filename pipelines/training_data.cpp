#include "pipelines/training_data.h"

#include <fmt/ranges.h>

#include <set>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/log.h"
#include "engine/data/prompt.h"
#include "engine/io/model_config.h"
#include "engine/io/stored_parameters.h"
#include "engine/models/input_sizes.h"
#include "engine/ops/finite.h"

namespace baton {
namespace {

constexpr int64_t encode_batch = 16;

// [B, C, H, W] -> [B, C, 1, H, W]: pictures are videos of one frame.
Tensor with_frame(const Tensor& x) { return x.alias({x.dim(0), x.dim(1), 1, x.dim(2), x.dim(3)}); }

// Names a model by its config and weights.
std::string hash_model(const Path& folder) {
  std::set<std::string> hashes;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors" || entry.path().filename() == "config.json")
      hashes.insert(hash_file(entry.path()));
  return hash_bytes(fmt::format("{}", hashes));
}

}  // namespace

Dataset open_and_report(const DataConfig& config) {
  Dataset dataset = open_dataset(config);
  if (config.skip_unreadable) drop_unreadable(dataset, config);
  for (const std::string& note : dataset.notes) warn_once(note);
  return dataset;
}

std::unique_ptr<WanVae> load_vae(const Path& folder) {
  TensorStore store(folder);
  StoredParameters parameters(store);
  return std::make_unique<WanVae>(read_wan_vae_config(folder / "config.json"), parameters, DType::f32);
}

void complete_sizes(TrainConfig& config, const Tokenizer& tokenizer) {
  const WanVaeConfig vae = read_wan_vae_config(Path(config.denoiser.vae) / "config.json");
  check_picture_size(config.data.size, vae, config.denoiser.vae);
  config.denoiser.transformer.in_channels = config.denoiser.transformer.out_channels = vae.z_dim;
  const int64_t side = config.data.size / vae.scale_factor_spatial;
  check_latents(config.denoiser.transformer, {vae.z_dim, 1, side, side});
  if (const int64_t height = config.sampling.height; height > 0) {
    check_picture_size(height, vae, config.denoiser.vae);
    check_latents(config.denoiser.transformer, {vae.z_dim, 1, height / vae.scale_factor_spatial, side});
  }
  int64_t& vocabulary = config.denoiser.text_encoder.vocab_size;
  if (config.denoiser.start.empty()) vocabulary = tokenizer.size();
  check(tokenizer.size() <= vocabulary,
        "model.tokenizer: {} has {} tokens, but the text encoder of model.start ({}) knows {}; use that model's "
        "tokenizer",
        config.denoiser.tokenizer, tokenizer.size(), config.denoiser.start, vocabulary);
}

Tensor normalised_latents(const WanVae& vae, const Tensor& pictures) {
  NoGrad off;
  const Tensor latents = vae.normalize(vae.encode(with_frame(pictures)).mean);  // [B, C, 1, h, w]
  check_finite(latents, "autoencoder: the latents of a picture");
  return latents.alias({latents.dim(0), latents.dim(1), latents.dim(3), latents.dim(4)});
}

std::vector<int32_t> caption_tokens(const Tokenizer& tokenizer, const std::string& caption, int64_t max_tokens) {
  Tokens tokens = tokenizer.encode(clean_prompt(caption), max_tokens);
  tokens.ids.resize(tokens.used);
  return std::move(tokens.ids);
}

DatasetPictures::DatasetPictures(const TrainConfig& config)
    : dataset_(open_and_report(config.data)),
      pictures_(dataset_, config.data),
      sequence_(dataset_, config.data, static_cast<uint64_t>(config.seed)),
      loader_(pictures_, sequence_) {}

Tensor DatasetPictures::samples(int64_t first, int64_t count) { return with_frame(loader_.samples(first, count)); }

Tensor DatasetPictures::items(std::span<const int64_t> indices) {
  std::vector<Draw> draws;
  for (int64_t index : indices) draws.push_back({.item = index});
  return with_frame(pictures_.whole(draws));
}

DatasetLatents::DatasetLatents(const TrainConfig& config, const Tokenizer& tokenizer)
    : dataset_(open_and_report(config.data)),
      tokenizer_(tokenizer),
      max_tokens_(config.denoiser.max_tokens),
      vae_(config.denoiser.vae),
      pictures_(std::in_place, dataset_, config.data),
      source_{.encoder = hash_model(vae_), .pictures = pictures_->hash(), .flip = config.data.flip} {}

Terms DatasetLatents::terms() const {
  return {{"hash of the captions", hash_captions(dataset_)}, {"hash of the pictures", source_.pictures}};
}

void DatasetLatents::encode(const Path& cache, ProgressMode progress) {
  const auto vae = load_vae(vae_);
  const auto encode = [&](const Tensor& batch) { return normalised_latents(*vae, batch); };
  latents_.emplace(open_latent_cache(cache, source_, *pictures_, encode_batch, encode, progress));
  pictures_.reset();
}

DenoiserSample DatasetLatents::item(const Draw& draw, const std::string& caption) const {
  const Tensor latents = latents_->latents(std::span(&draw, 1));  // [1, C, h, w]
  return {latents.alias({latents.dim(1), 1, latents.dim(2), latents.dim(3)}),
          caption_tokens(tokenizer_, caption, max_tokens_)};
}

DenoiserSample DatasetLatents::item(int64_t index) const {
  return item({.item = index}, dataset_.items[index].captions[0].text);
}

DrawnLatents::DrawnLatents(const DatasetLatents& latents, const TrainConfig& config)
    : latents_(latents), sequence_(latents.dataset(), config.data, static_cast<uint64_t>(config.seed)) {}

DenoiserSample DrawnLatents::sample(int64_t number) {
  const Draw draw = sequence_.draw(number);
  return latents_.item(draw, sequence_.caption(draw));
}

}  // namespace baton
