#pragma once

#include <deque>
#include <optional>
#include <string>

#include "engine/diffusion/sampler.h"
#include "engine/parallel/layout.h"

namespace baton {

// Sampling on axis ep: groups of ranks with consecutive experts, like runners. Each does the steps of its experts on
// one batch of pictures and hands it to the next group; then it takes on the following batch. A group that no step
// needs does not take part. With one group nothing is handed over.
class Relay {
 public:
  Relay(const Layout& layout, std::span<const Step> steps, int experts);

  // Steps [begin, end) are this rank's group's. Empty: it has nothing to do.
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }
  bool is_first() const { return begin_ == 0; }
  bool is_last() const { return end_ == steps_; }
  // Batches that this rank's replica works on: every so many.
  int64_t first_batch() const;
  int64_t batch_stride() const;

  int last_replicas() const;  // of the group that ends with pictures

  // A batch from the group before, on all ranks of the replica; nothing if that one was told to stop.
  std::optional<Trajectory> receive(int64_t batch, const Shape& latents);
  // A batch for the next group, or word that it will not come.
  void hand_over(int64_t batch, const Trajectory& run);
  void call_off(int64_t batch);

  // What share of the time since the start each group has waited for others; all ranks call it. Empty where there is
  // one group.
  std::string idle_report() const;

 private:
  struct Sent {
    std::vector<int64_t> head;
    Tensor values;
    Pending pending[2];
  };
  bool leads() const { return layout_.replica().rank() == 0; }
  int leader(int group, int64_t batch) const;

  Layout layout_;
  size_t steps_, begin_ = 0, end_ = 0;
  std::vector<int> runners_;  // groups that have steps, in order
  int place_ = -1;            // of this rank's group in runners_
  std::deque<Sent> sent_;
  double waited_ = 0, started_;  // seconds
};

}  // namespace baton
