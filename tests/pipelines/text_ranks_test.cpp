#include "pipelines/text_ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/comm/local.h"

namespace baton {
namespace {

// States whose shape and values tell the task.
TextStates states_of(int64_t task) {
  const int64_t tokens = 3 + task % 2;
  return {Tensor::full({2, tokens, 4}, static_cast<float>(task)), Tensor::full({2, tokens}, 1)};
}

void expect_task(const TextStates& states, int64_t task) {
  const TextStates expected = states_of(task);
  EXPECT_EQ(states.states.shape(), expected.states.shape());
  EXPECT_EQ(states.states.to_vector(), expected.states.to_vector());
  EXPECT_EQ(states.count.to_vector(), expected.count.to_vector());
}

TEST(TextRanks, EachTaskReachesEveryRankThatDraws) {
  for (const int drawing : {1, 2})
    for (const int encoding : {1, 2})
      run_ranks(drawing + encoding, {}, [&](Group& world) {
        TextRanks text(world, drawing);
        ASSERT_EQ(text.encodes(), world.rank() >= drawing);
        if (text.encodes()) return text.serve(7, states_of);
        for (int64_t task = 0; task < 7; ++task) expect_task(text.receive(task), task);
      });
}

TEST(TextRanks, AreAheadOfThoseThatDrawButNotFar) {
  std::atomic<int64_t> encoded = 0;
  run_ranks(2, {}, [&](Group& world) {
    TextRanks text(world, 1);
    if (text.encodes()) {
      text.serve(9, [&](int64_t task) {
        ++encoded;
        return states_of(task);
      });
      return;
    }
    for (int64_t task = 0; task < 9; ++task) {
      const int64_t soon = std::min<int64_t>(task + 2, 9);
      while (encoded < soon) std::this_thread::yield();  // without that the task at hand was taken
      expect_task(text.receive(task), task);
      EXPECT_LE(encoded, task + 4);
    }
  });
}

}  // namespace
}  // namespace baton
