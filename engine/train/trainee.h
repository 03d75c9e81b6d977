#pragma once

#include <memory>
#include <string>

#include "engine/io/file.h"
#include "engine/io/safetensors_layout.h"
#include "engine/parallel/layout.h"
#include "engine/train/flat_parameters.h"
#include "engine/train/optimizer.h"

namespace baton {

// Who else trains a network, and how much of its state each keeps.
struct Sharing {
  enum class Holders {
    group,   // its group of experts, on stages and in shares
    groups,  // all groups of experts alike
    ranks,   // every rank has all of it, and its gradients come from other texts
  };
  Layout layout;
  Holders holders = Holders::ranks;
  // engine/train/flat_parameters.h. At stage 3 parameters called blocks.I.… are there while block I is held, the others
  // always.
  int zero_stage = 0;
};

// One network in training (an expert, a text encoder, an autoencoder): its parameters with their optimizer and moving
// average. Each network of a run has its own, so experts share no state.
class Trainee {
 public:
  // `name` is its folder in checkpoints and exported models: "transformer_2".
  Trainee(std::string name, const Parameters& parameters, const OptimizerConfig& config, DType compute,
          const Sharing& sharing = {});
  ~Trainee();

  // The coming backward pass of each parameter is the last of this step: gradients may be summed over the replicas as
  // they arrive.
  void expect_last_gradients();
  // Stage 3: gathers the parameters of a block until what is returned is let go. All ranks hold the same blocks in the
  // same order.
  std::shared_ptr<void> hold_block(int64_t block);
  // Applies and clears the gradients, summed over the replicas; returns their norm before clipping.
  double step(double lr_factor);

  const std::string& name() const { return name_; }
  const Parameters& parameters() const { return parameters_; }
  // Of all parameters, also those that other replicas update or keep. All ranks call them.
  Parameters all_values() const;
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
  Holding holding_of(const Parameter& parameter) const;
  Group& replicas(const Holding& holding) const;
  void make_parts(int zero_stage);
  Parameters owned() const;
  Parameters present() const;
  double norm() const;

  std::string name_;
  Parameters parameters_;
  Sharing sharing_;
  Group &tp_, &pp_, &all_;  // all: that hold the network or a share of it
  struct Part;              // parameters that are held alike
  std::vector<std::unique_ptr<Part>> parts_;
  std::unique_ptr<Optimizer> optimizer_;  // of the parameters that this rank updates
  bool averaged_;
};

}  // namespace baton
