#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace baton {

// One sample of training: which picture, seen how.
struct Draw {
  int64_t number = 0;         // of the sample in the run
  int64_t item = 0;           // of the data set
  bool flip = false;          // mirrored left to right, after the crop
  int64_t top = 0, left = 0;  // of the crop, pixels
};

// An endless sequence of draws in which draw n depends on (data set, config, seed, n) alone: a run resumes with no
// state but its step number, and any split of a batch over ranks sees the same samples.
//
// Draws come in epochs of M = floor(sum of weights / largest weight). An epoch lays the weights end to end in a fresh
// random order and takes M equally spaced points of that line, shifted by one random offset: picture i comes
// M weight_i / sum times on average, never twice in an epoch, and with equal weights every picture exactly once.
//
// The order of one epoch is cached, so a DrawSequence belongs to one thread; the data set must outlive it.
class DrawSequence {
 public:
  DrawSequence(const Dataset& dataset, const DataConfig& config, uint64_t seed);

  int64_t epoch_size() const { return epoch_size_; }
  Draw draw(int64_t number);
  std::vector<Draw> draws(int64_t first, int64_t count);
  // The caption of that sample: one of its picture's, by weight; tags in a random order.
  std::string caption(const Draw& draw) const;

 private:
  void lay_out(int64_t epoch);

  const Dataset& dataset_;
  uint64_t seed_;
  int64_t crop_range_;  // offsets of a crop are below this
  bool flip_;
  int64_t epoch_size_ = 0;
  std::vector<int64_t> drawable_;  // items of positive weight
  int64_t epoch_ = -1;             // the one that `order_` and `ends_` are of
  std::vector<int64_t> order_;
  std::vector<double> ends_;  // where the weight of order_[i] ends on the line
};

}  // namespace baton
