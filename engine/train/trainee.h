#pragma once

#include <string>

#include "engine/io/file.h"
#include "engine/train/optimizer.h"

namespace baton {

// One network in training (an expert, a text encoder, an autoencoder): its parameters with their optimizer and moving
// average. Each network of a run has its own, so experts share no state.
class Trainee {
 public:
  // `name` is its folder in checkpoints and exported models: "transformer_2".
  Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute);

  // Applies and clears the gradients; returns their norm before clipping.
  double step(double lr_factor) { return optimizer_.step(lr_factor); }

  const std::string& name() const { return name_; }
  const Parameters& parameters() const { return parameters_; }
  const Parameters& averages() const { return optimizer_.averages(); }
  Parameters optimizer_state() const { return optimizer_.state(); }

  // weights, ema and optimizer .safetensors below `folder`, which exists.
  void save(const Path& folder) const;
  void load(const Path& folder);
  // Takes over the values of a network of the same shape: weights, average and optimizer state.
  void copy_from(const Trainee& other);

 private:
  std::string name_;
  Parameters parameters_;
  Optimizer optimizer_;
  bool averaged_;
};

}  // namespace baton
