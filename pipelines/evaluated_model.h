#pragma once

#include <memory>
#include <vector>

#include "engine/config/train_config.h"
#include "engine/data/tokenizer.h"
#include "engine/io/file.h"
#include "engine/train/mixture.h"

namespace baton {

// A model whose losses are measured: a pipeline folder, or the moving averages in a checkpoint of a denoiser's
// training.
struct EvaluatedModel {
  Path vae;          // folder
  int64_t size = 0;  // side of its pictures; 0: not said
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<TextEncoder> text_encoder;
  std::vector<std::unique_ptr<WanTransformer>> experts;
  Mixture mixture;  // of the above
};

EvaluatedModel load_evaluated_model(const Path& folder, DType compute);
// Names its weights.
std::string hash_evaluated_model(const Path& folder);

}  // namespace baton
