#pragma once

#include <string>

#include "engine/io/file.h"
#include "engine/io/safetensors_layout.h"
#include "engine/train/flat_parameters.h"
#include "engine/train/optimizer.h"

namespace baton {

// Who else trains a network: the ranks that hold its parameters as this one does, for those that are whole on the ranks
// of tp and those that are shared out over them; and how much of its state each keeps (engine/train/flat_parameters.h).
struct Replicas {
  Group *whole = &alone(), *sharded = &alone(), *tp = &alone();
  Group* all = &alone();       // that hold the network or a share of it
  bool whole_is_first = true;  // of several groups `whole` that hold the same, this one writes checkpoints
  int zero_stage = 0;
};

// One network in training (an expert, a text encoder, an autoencoder): its parameters with their optimizer and moving
// average. Each network of a run has its own, so experts share no state.
class Trainee {
 public:
  // `name` is its folder in checkpoints and exported models: "transformer_2".
  Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute,
          const Replicas& replicas = {});

  // The coming backward pass is the last of this step: its gradients may be summed over the replicas as they arrive.
  void expect_last_gradients();
  // Applies and clears the gradients, summed over the replicas; returns their norm before clipping.
  double step(double lr_factor);

  const std::string& name() const { return name_; }
  const Parameters& parameters() const { return parameters_; }
  // Of all parameters, also those that other replicas update. All ranks call them.
  Parameters averages() const;
  Parameters optimizer_state() const;

  // weights, ema and optimizer .safetensors in folder / name(), with whole tensors whatever the ranks: each writes and
  // reads its part. All that hold the network call them.
  void save(const Path& folder) const;
  void load(const Path& folder);
  // Sets moving averages and optimizer state, as averages() and optimizer_state() of a like network give them.
  void take(const Parameters& averages, const Parameters& state);

 private:
  Parameters collect(const std::string& prefix, const Parameters& mine) const;
  std::vector<TensorEntry> optimizer_entries() const;
  void write_shared(const Path& path, std::vector<TensorEntry> entries, const Parameters& mine) const;
  void read_shared(const Path& path, const Parameters& mine) const;
  bool writes(const std::string& name) const;

  std::string name_;
  Parameters parameters_;
  Group &tp_, &all_;
  FlatParameters whole_, sharded_;
  Optimizer optimizer_;  // of the parameters that this rank updates
  bool averaged_, whole_is_first_;
};

}  // namespace baton
