#pragma once

#include <string>
#include <vector>

#include "engine/config/visitor.h"
#include "pipelines/runtime.h"

namespace baton {

struct EvaluateConfig {
  std::vector<std::string> models;  // positional: pipeline folders, or checkpoints of `baton train`
  std::string data;
  int64_t size = 0;  // 0: the model's
  int64_t items = 256;
  int64_t t_bins = 10;
  int64_t batch = 64;
  bool autoencoder = false;
  bool json = false;
};
void visit(ConfigVisitor& v, EvaluateConfig& config);

// Prints the validation loss of each model per bin of the noise level and per expert, all on the same pictures,
// captions, noise and noise levels. Losses per expert are those of the ranges of the model with the most experts, so
// that experts can be compared with the single denoiser that they came from. With `autoencoder`: how well the
// autoencoder of each pipeline folder, or each folder of an autoencoder, gives the pictures back instead.
int run_evaluate(const EvaluateConfig& config, const Runtime& runtime);

}  // namespace baton
