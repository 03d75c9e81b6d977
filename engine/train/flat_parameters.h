#pragma once

#include <memory>
#include <vector>

#include "engine/comm/group.h"
#include "engine/nn/parameters.h"

namespace baton {

// Parameters that the ranks of a group hold alike and train on different samples, in one buffer. Each rank owns an
// interval of it that begins and ends with a parameter; ZeRO (Rajbhandari et al. 2020) is what the others do not keep:
//   stage 0  every rank keeps everything and does every update
//   stage 1  a rank keeps the optimizer state of its interval and updates that; the others receive the values
//   stage 2  and keeps the summed gradients of its interval alone
//   stage 3  and keeps the values of its interval alone: others are there while someone holds them
// Gradients are summed bucket by bucket, in a fixed order, while the backward pass still runs.
class FlatParameters {
 public:
  // Moves the values into the buffer. All ranks of `replicas` give the same parameters. They become a group of their
  // own here, as two networks' gradients may arrive in different orders on different ranks.
  FlatParameters(const Parameters& parameters, Group& replicas, int zero_stage);
  ~FlatParameters();
  FlatParameters(const FlatParameters&) = delete;
  FlatParameters& operator=(const FlatParameters&) = delete;

  const Parameters& parameters() const { return parameters_; }
  const Parameters& owned() const { return owned_; }
  // Whether the parameter lies in this rank's interval.
  bool has(std::string_view name) const;
  // The coming backward pass is the last of this step. Every parameter takes part in it once, or not at all.
  void expect_last_gradients();
  // Ends the summing: owned() have the sums over the replicas as their gradients, zeros where no rank had one.
  void finish_gradients();
  // Of all gradients, after finish_gradients(); the same bits on every rank.
  double sum_of_squares() const;
  // Hands the owners' new values to all ranks, unless each keeps its own.
  void share_values();
  // Stage 3: gathers the parameters whose names begin so; they are there until what is returned is let go. All ranks
  // hold the same in the same order. Null where nothing has to be gathered.
  std::shared_ptr<void> hold(std::string_view prefix);
  // All values, gathered where each rank keeps its own.
  std::vector<Tensor> all_values() const;
  // From one tensor for each of owned(), of its shape, those of all parameters: what the owners keep, put together.
  std::vector<Tensor> collect(const std::vector<Tensor>& mine) const;

 private:
  struct Bucket;
  void arrived(size_t parameter);
  void start_ready_buckets(bool all);
  void start(Bucket& bucket);
  std::vector<int64_t> owned_counts(int64_t begin, int64_t end) const;
  void hook(bool on);
  void gather(const Tensor& flat) const;
  bool owns(size_t parameter) const;
  void place_own_values();

  Parameters parameters_, owned_;
  std::unique_ptr<Group> group_;
  int stage_;
  std::vector<int64_t> offsets_;     // of each parameter in the buffer, and the end
  std::vector<int64_t> boundaries_;  // of the ranks' intervals: rank r owns [boundaries_[r], boundaries_[r + 1])
  Tensor values_;                    // of all parameters, or at stage 3 of this rank's interval
  std::vector<std::unique_ptr<Bucket>> buckets_;  // last parameters first, as their gradients come
  size_t started_ = 0;                            // buckets
};

}  // namespace baton
