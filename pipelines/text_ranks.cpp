#include "pipelines/text_ranks.h"

namespace baton {

constexpr size_t ahead = 2;  // tasks

TextRanks::TextRanks(Group& world, int drawing) : group_(world.split(0, "text")), drawing_(drawing) {}

void TextRanks::serve(int64_t tasks, const std::function<TextStates(int64_t task)>& encode) {
  const int encoders = group_->size() - drawing_;
  for (int64_t task = group_->rank() - drawing_; task < tasks; task += encoders) {
    TextStates states = encode(task);
    if (sent_.size() == ahead) wait_until_taken();
    send(sent_.emplace_back(Sent{states.states.shape(), states, {}}));
  }
  while (!sent_.empty()) wait_until_taken();
}

// The shape of the states, the states, and their counts.
void TextRanks::send(Sent& sent) {
  for (int rank = 0; rank < drawing_; ++rank) {
    sent.pending.push_back(group_->send(values(std::span(sent.shape)), rank));
    sent.pending.push_back(group_->send(values(sent.states.states), rank));
    sent.pending.push_back(group_->send(values(sent.states.count), rank));
  }
}

void TextRanks::wait_until_taken() {
  for (Pending& pending : sent_.front().pending) pending.wait();
  for (int rank = 0; rank < drawing_; ++rank) {
    int64_t receipt = 0;
    group_->receive(values(std::span(&receipt, 1)), rank).wait();
  }
  sent_.pop_front();
}

TextStates TextRanks::receive(int64_t task) {
  const int from = drawing_ + static_cast<int>(task % (group_->size() - drawing_));
  std::vector<int64_t> shape(3);
  group_->receive(values(std::span(shape)), from).wait();
  TextStates states{Tensor::empty(shape), Tensor::empty({shape[0], shape[1]})};
  group_->receive(values(states.states), from).wait();
  group_->receive(values(states.count), from).wait();
  group_->send(values(std::span(&task, 1)), from).wait();
  return states;
}

}  // namespace baton
