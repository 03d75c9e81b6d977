#include "engine/parallel/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/autograd/tape.h"
#include "engine/ops/elementwise.h"
#include "tests/comm/on_ranks.h"
#include "tests/ops/op_test.h"

namespace baton {
namespace {

struct Case {
  PipelineOrder order;
  int ranks, pieces, passes;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << (c.order == PipelineOrder::gpipe ? "gpipe" : "1f1b") << " pp " << c.ranks << " pieces " << c.pieces
       << " passes " << c.passes;
}

// Runs the ranks' lists of tasks in lockstep: forward takes one unit of time for all of a rank's pieces, backward two.
class Simulation {
 public:
  explicit Simulation(const Case& c) : c_(c) {
    for (int r = 0; r < c.ranks; ++r) done_[r] = 0;
    for (int r = 0; r < c.ranks; ++r) tasks_.push_back(pipeline_tasks(c.order, c.ranks, r, c.pieces, c.passes));
    while (advance()) {
    }
  }

  bool finished() const {
    for (int r = 0; r < c_.ranks; ++r)
      if (done_.at(r) < tasks_[r].size()) return false;
    return true;
  }
  double time() const {
    double time = 0;
    for (const auto& [rank, at] : free_) time = std::max(time, at);
    return time;
  }
  const std::vector<PipelineTask>& tasks(int rank) const { return tasks_[rank]; }

  // The most passes that a rank's stages have in memory at once.
  int most_under_way(int rank) const {
    int now = 0, most = 0;
    for (const PipelineTask& task : tasks_[rank]) most = std::max(most, now += task.forward ? 1 : -1);
    return most;
  }

 private:
  bool advance() {
    bool moved = false;
    for (int r = 0; r < c_.ranks; ++r)
      for (; done_[r] < tasks_[r].size() && ready(tasks_[r][done_[r]]); ++done_[r], moved = true) run(r);
    return moved;
  }
  static std::tuple<bool, int, int> key(const PipelineTask& t) { return {t.forward, t.stage, t.pass}; }
  // What a task waits for.
  std::vector<PipelineTask> before(const PipelineTask& t) const {
    const int last = c_.ranks * c_.pieces - 1;
    if (t.forward)
      return t.stage == 0 ? std::vector<PipelineTask>() : std::vector{PipelineTask{true, t.stage - 1, t.pass}};
    if (t.stage == last) return {{true, t.stage, t.pass}};
    return {{true, t.stage, t.pass}, {false, t.stage + 1, t.pass}};
  }
  bool ready(const PipelineTask& task) const {
    return std::ranges::all_of(before(task), [&](const PipelineTask& t) { return ends_.contains(key(t)); });
  }
  void run(int rank) {
    const PipelineTask& task = tasks_[rank][done_[rank]];
    double start = free_[rank];
    for (const PipelineTask& t : before(task)) start = std::max(start, ends_.at(key(t)));
    free_[rank] = start + (task.forward ? 1.0 : 2.0) / c_.pieces;
    ends_[key(task)] = free_[rank];
  }

  Case c_;
  std::vector<std::vector<PipelineTask>> tasks_;
  std::map<int, size_t> done_;
  std::map<int, double> free_;
  std::map<std::tuple<bool, int, int>, double> ends_;
};

class PipelineTasks : public testing::TestWithParam<Case> {};

TEST_P(PipelineTasks, AreEveryStageOnceAndNeverWaitInACircle) {
  const Case c = GetParam();
  Simulation simulation(c);
  EXPECT_TRUE(simulation.finished());
  for (int r = 0; r < c.ranks; ++r) {
    std::set<std::tuple<bool, int, int>> seen;
    for (const PipelineTask& t : simulation.tasks(r)) {
      EXPECT_EQ(t.stage % c.ranks, r);
      EXPECT_TRUE(seen.insert({t.forward, t.stage, t.pass}).second);
    }
    EXPECT_EQ(std::ssize(seen), 2 * c.pieces * c.passes);
  }
}

constexpr auto f1b1 = PipelineOrder::one_f_one_b;
INSTANTIATE_TEST_SUITE_P(Orders, PipelineTasks,
                         testing::Values(Case{f1b1, 1, 1, 3}, Case{f1b1, 2, 1, 1}, Case{f1b1, 4, 1, 2},
                                         Case{f1b1, 4, 1, 9}, Case{f1b1, 2, 2, 2}, Case{f1b1, 2, 3, 5},
                                         Case{f1b1, 4, 2, 8}, Case{f1b1, 4, 3, 7}, Case{f1b1, 8, 4, 1},
                                         Case{f1b1, 3, 2, 2}, Case{PipelineOrder::gpipe, 4, 1, 6},
                                         Case{PipelineOrder::gpipe, 1, 1, 2}));

// Narayanan et al. 2021, section 2.2: with m micro-batches of 3 units the bubble is (p - 1) 3 / v.
TEST(PipelineOrders, HaveTheBubblesOfTheLiterature) {
  for (const Case& c : {Case{PipelineOrder::gpipe, 4, 1, 8}, Case{f1b1, 4, 1, 8}, Case{f1b1, 4, 2, 8},
                        Case{f1b1, 8, 4, 16}, Case{f1b1, 2, 2, 6}})
    EXPECT_NEAR(Simulation(c).time(), 3.0 * c.passes + (c.ranks - 1) * 3.0 / c.pieces, 1e-9)
        << testing::PrintToString(c);
}

TEST(PipelineOrders, OneForwardOneBackwardKeepsFewPasses) {
  for (int r = 0; r < 4; ++r) {
    EXPECT_EQ(Simulation({f1b1, 4, 1, 16}).most_under_way(r), 4 - r);
    EXPECT_EQ(Simulation({PipelineOrder::gpipe, 4, 1, 16}).most_under_way(r), 16);
  }
}

// A stage multiplies by its own weight: the last gives w0 w1 … x, whose derivatives are plain.
class Product : public StagedPass {
 public:
  Product(const std::vector<Tensor>& weights, float x, bool empty)
      : weights_(weights), x_(Tensor::full({1}, x)), empty_(empty) {}
  bool empty() const override { return empty_; }
  Shape between() const override { return {1}; }
  Tensor forward(int stage, const Tensor& input) override { return (stage == 0 ? x_ : input) * weights_[stage]; }

 private:
  const std::vector<Tensor>& weights_;
  Tensor x_;
  bool empty_;
};

TEST(Pipeline, SkipsEmptyPassesAndSumsTheOthers) {
  test::on_ranks(2, [](Group& world) {
    const Stages stages(Layout(world, Mesh(parse_mesh("pp=2"), 2, {}), false, 2), 4);
    std::vector<Tensor> weights;
    for (float w : {2.0f, 3.0f, 5.0f, 7.0f}) {
      weights.push_back(Tensor::full({1}, w));
      weights.back().set_requires_grad(true);
    }
    std::vector<std::unique_ptr<StagedPass>> passes;
    for (int i = 0; i < 5; ++i) passes.push_back(std::make_unique<Product>(weights, static_cast<float>(i), i % 2 == 1));
    run_pipeline(stages, f1b1, passes);
    for (int s = 0; s < 4; ++s) {
      ASSERT_EQ(weights[s].grad().defined(), stages.has(s)) << s;
      if (!stages.has(s)) continue;
      EXPECT_FLOAT_EQ(weights[s].grad().to_vector()[0], 6 * 210 / weights[s].to_vector()[0]) << s;
    }
  });
}

TEST(Pipeline, RelayGivesTheResultToAll) {
  test::on_ranks(2, [](Group& world) {
    NoGrad off;
    const Stages stages(Layout(world, Mesh(parse_mesh("pp=2"), 2, {}), false, 2), 4);
    const Tensor y = relay(stages, {1}, {1}, [](int stage, const Tensor& x) {
      return stage == 0 ? Tensor::full({1}, 1) : affine(x, 2, static_cast<float>(stage));
    });
    EXPECT_EQ(y.to_vector()[0], 2 * (2 * (2 * 1 + 1) + 2) + 3);
  });
}

}  // namespace
}  // namespace baton
