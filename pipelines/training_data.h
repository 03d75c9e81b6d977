#pragma once

#include <memory>
#include <optional>

#include "engine/config/train_config.h"
#include "engine/core/progress.h"
#include "engine/data/latent_cache.h"
#include "engine/data/loader.h"
#include "engine/data/pictures.h"
#include "engine/data/tokenizer.h"
#include "engine/models/wan_vae.h"
#include "engine/train/denoiser_data.h"
#include "engine/train/picture_data.h"
#include "pipelines/agreement.h"

namespace baton {

// Opens a data set and logs what was left out.
Dataset open_and_report(const DataConfig& config);

// Crops of the data set for the autoencoder.
class DatasetPictures : public PictureData {
 public:
  explicit DatasetPictures(const TrainConfig& config);
  Tensor samples(int64_t first, int64_t count) override;
  int64_t size() const override { return pictures_.count(); }
  Tensor items(std::span<const int64_t> indices) override;

 private:
  Dataset dataset_;
  Pictures pictures_;
  DrawSequence sequence_;
  PictureLoader loader_;  // last: its thread uses the others
};

// A data set as normalised latents and tokens of captions. Once encoded it does not change: all ranks of a process read
// the same one.
class DatasetLatents : public ValidationData {
 public:
  // Decodes all pictures; writes nothing.
  DatasetLatents(const TrainConfig& config, const Tokenizer& tokenizer);
  Terms terms() const;  // what says that another process has the same
  // Encodes the pictures into a file below `cache`, unless it is there. To be called once, before items are read.
  void encode(const Path& cache, ProgressMode progress);

  const Dataset& dataset() const { return dataset_; }
  int64_t size() const override { return std::ssize(dataset_.items); }
  DenoiserSample item(int64_t index) const override;
  DenoiserSample item(const Draw& draw, const std::string& caption) const;

 private:
  Dataset dataset_;
  const Tokenizer& tokenizer_;
  int64_t max_tokens_;
  Path vae_;
  std::optional<Pictures> pictures_;  // until they are encoded
  LatentSource source_;
  std::optional<LatentCache> latents_;
};

// The samples that one rank draws from them.
class DrawnLatents : public DenoiserData {
 public:
  DrawnLatents(const DatasetLatents& latents, const TrainConfig& config);
  DenoiserSample sample(int64_t number) override;
  int64_t size() const override { return latents_.size(); }
  DenoiserSample item(int64_t index) const override { return latents_.item(index); }

 private:
  const DatasetLatents& latents_;
  DrawSequence sequence_;
};

// The autoencoder in a folder, in f32.
std::unique_ptr<WanVae> load_vae(const Path& folder);

// Fills in the sizes of the denoiser and text encoder that follow from the autoencoder and the tokenizer.
void complete_sizes(TrainConfig& config, const Tokenizer& tokenizer);

// The posterior means of pictures [B, 3, S, S], normalised: [B, C, h, w] f32. Not recorded.
Tensor normalised_latents(const WanVae& vae, const Tensor& pictures);

// A caption as the denoiser is given it.
std::vector<int32_t> caption_tokens(const Tokenizer& tokenizer, const std::string& caption, int64_t max_tokens);

}  // namespace baton
