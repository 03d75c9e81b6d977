#pragma once

#include <atomic>
#include <map>
#include <string>

#include "engine/comm/group.h"
#include "engine/config/train_config.h"
#include "engine/core/progress.h"
#include "engine/io/json.h"

namespace baton {

// Gathers weighted means of named values over several steps.
class MetricMeans {
 public:
  void add(const std::string& name, double value, double weight = 1);
  double mean(const std::string& name) const;  // 0 if there is none
  // name -> mean; starts anew.
  std::map<std::string, double> take();

 private:
  struct Sum {
    double value = 0, weight = 0;
  };
  std::map<std::string, Sum> sums_;
};

// More than any training sees, and few enough to be added and multiplied: a state.json with more is damaged.
constexpr int64_t most_samples = int64_t{1} << 53;

// What differs between trainings. A step depends on the trainer's state, the config and the step number alone, so that
// an interrupted run goes on bit for bit.
class Trainer {
 public:
  virtual ~Trainer() = default;
  // Trains on the batch of step number `step`, counted from 0; returns how many samples it had. Adds "loss" and more.
  virtual int64_t step(int64_t step, MetricMeans& means) = 0;
  virtual Json validate() = 0;
  // Everything that later steps depend on: tensors below `folder`, which exists, the rest as the result. All ranks call
  // it, as they do the others.
  virtual Json save(const Path& folder) const = 0;
  virtual void load(const Path& folder, JsonReader state) = 0;
  // Writes the trained model as `folder`; save() has just written `checkpoint`. The first rank alone calls it.
  virtual void write_model(const Path& folder, const Path& checkpoint) = 0;
};

enum class Outcome { finished, interrupted };

// Takes a trainer to step config.steps, from the newest checkpoint in config.checkpoint.folder if there is one; writes
// checkpoints, metrics.jsonl, progress and at the end the folder `model`. Once `stop` is set it saves after the step at
// hand and returns. All ranks of `ranks` call it with their trainers.
Outcome run_loop(Trainer& trainer, const TrainConfig& config, ProgressMode progress, const std::atomic<bool>& stop,
                 Group& ranks = alone());

}  // namespace baton
