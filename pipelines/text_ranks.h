#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "engine/comm/group.h"
#include "engine/models/text_states.h"

namespace baton {

// Text encoders on ranks of their own, behind those that draw: they encode the texts of one task after the other and
// stay up to two tasks ahead, while the others, which then need no text encoder in memory, work on the tasks before.
class TextRanks {
 public:
  // Collective over `world`: its first `drawing` ranks draw, the others encode.
  TextRanks(Group& world, int drawing);

  bool encodes() const { return group_->rank() >= drawing_; }
  // On ranks that encode, which take tasks 0, …, tasks - 1 in turns: gives the states of each to all ranks that draw.
  void serve(int64_t tasks, const std::function<TextStates(int64_t task)>& encode);
  // On ranks that draw, tasks in rising order and none left out.
  TextStates receive(int64_t task);

 private:
  struct Sent {
    std::vector<int64_t> shape;
    TextStates states;
    std::vector<Pending> pending;
  };
  void send(Sent& sent);
  void wait_until_taken();

  std::unique_ptr<Group> group_;
  int drawing_;
  std::deque<Sent> sent_;  // and not known to be received
};

}  // namespace baton
