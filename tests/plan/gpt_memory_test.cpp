#include <gtest/gtest.h>

#include "engine/plan/gpt_activations.h"
#include "tests/plan/gpt_runs.h"
#include "tests/test_dir.h"

// Figures 1 and 7 of Korthikanti et al. 2022, on A100 80 GB.
namespace baton {
namespace {

constexpr double gib = 1 << 30;

struct Row {
  const char* name;
  int64_t heads, hidden, layers;
  int pp;
  int64_t interleave, batch, micro_batch;
  // GiB: training state; activations with tensor parallelism alone, and with the savings
  double state, base, both, sequence, selective, full;
  // figure 7, per cent of `base`, in the order sequence, selective, both, full
  std::array<double, 4> figure_7;
};

const Row rows[] = {
    {"22B", 64, 6144, 48, 1, 1, 4, 4, 45.5625, 59.25, 9.5625, 39.56, 29.25, 4.50, {66.84, 49.42, 16.18, 7.64}},
    {"175B",
     96,
     12288,
     96,
     8,
     3,
     64,
     1,
     45.5625,
     66.84375,
     12.3515625,
     41.41,
     37.78,
     5.81,
     {62.04, 56.53, 18.49, 8.71}},
    {"530B",
     128,
     20480,
     105,
     35,
     3,
     280,
     1,
     31.640625,
     114.0234375,
     23.076171875,
     66.51,
     70.59,
     10.86,
     {58.31, 62.04, 20.27, 9.42}},
    {"1T",
     160,
     25600,
     128,
     64,
     1,
     512,
     1,
     32.958984375,
     131.25,
     26.5625,
     76.56,
     81.25,
     12.50,
     {58.31, 62.04, 20.27, 9.42}}};

Plan plan_of(const Row& r, Recompute recompute, bool sequence_parallel) {
  const test::GptRun run{r.name,        r.heads,      r.hidden,  r.layers,          8, r.pp, 1, r.batch,
                         r.micro_batch, r.interleave, recompute, sequence_parallel, 0};
  const Machine machine = read_machine(test_dir() / "../configs/machines/a100-80g.yaml");
  return plan_gpt(test::model_of(run), test::execution_of(run, machine), machine);
}

TEST(GptMemory, FigureOneToTheLastDigit) {
  for (const Row& row : rows) {
    const Plan base = plan_of(row, Recompute::off, false);
    EXPECT_DOUBLE_EQ(base.memory.state() / gib, row.state) << row.name;
    EXPECT_DOUBLE_EQ(base.memory.activations / gib, row.base) << row.name;
    EXPECT_DOUBLE_EQ(plan_of(row, Recompute::selective, true).memory.activations / gib, row.both) << row.name;
  }
}

TEST(GptMemory, TheOtherColumns) {
  constexpr double digits = 0.005;
  for (const Row& row : rows) {
    EXPECT_NEAR(plan_of(row, Recompute::off, true).memory.activations / gib, row.sequence, digits) << row.name;
    EXPECT_NEAR(plan_of(row, Recompute::selective, false).memory.activations / gib, row.selective, digits) << row.name;
    EXPECT_NEAR(plan_of(row, Recompute::full, false).memory.activations / gib, row.full, digits) << row.name;
  }
}

// The published percentages were read off a plot, to about a tenth of a point.
TEST(GptMemory, FigureSeven) {
  for (const Row& row : rows) {
    const double base = plan_of(row, Recompute::off, false).memory.activations;
    const auto percent = [&](Recompute recompute, bool sequence_parallel) {
      return 100 * plan_of(row, recompute, sequence_parallel).memory.activations / base;
    };
    EXPECT_NEAR(percent(Recompute::off, true), row.figure_7[0], 0.2) << row.name;
    EXPECT_NEAR(percent(Recompute::selective, false), row.figure_7[1], 0.2) << row.name;
    EXPECT_NEAR(percent(Recompute::selective, true), row.figure_7[2], 0.2) << row.name;
    EXPECT_NEAR(percent(Recompute::full, false), row.figure_7[3], 0.2) << row.name;
  }
}

TEST(GptMemory, InterleavedStagesHoldMore) {
  const Plan once = plan_of({"", 96, 12288, 96, 8, 1, 64, 1}, Recompute::off, false);
  const Plan thrice = plan_of({"", 96, 12288, 96, 8, 3, 64, 1}, Recompute::off, false);
  EXPECT_DOUBLE_EQ(thrice.memory.activations / once.memory.activations, 1 + 7 / 24.0);
}

}  // namespace
}  // namespace baton
