#include "engine/plan/scaling.h"

#include <gtest/gtest.h>

#include "engine/plan/gpt_model.h"

namespace baton {
namespace {

const GptModel gpt3{96, 12288, 96, 2048, 51200};

TEST(Scaling, TrainingStateOfGpt3) {
  EXPECT_DOUBLE_EQ(training_state_bytes(175e9), 2.80e12);
  EXPECT_DOUBLE_EQ(training_state_bytes(175e9) / 80e9, 35.0);
}

// A batch of 1,536, with every forward pass repeated.
TEST(Scaling, FlopsOfGpt3) {
  const double step = gpt3.hardware_flops_full(1536);
  EXPECT_NEAR(step, 4.511e18, 0.0005e18);
  EXPECT_NEAR(95'000 * step, 4.285e23, 0.0005e23);
  EXPECT_NEAR(95'000 * step / 312e12 / 86'400, 15'897, 1);  // days of one A100 at its peak
}

// Korthikanti et al. 2022: selective recomputation adds s / 6h.
TEST(Scaling, HardwareOverModelFlops) {
  EXPECT_NEAR(gpt3.hardware_flops_selective(1) / gpt3.model_flops(1), 1 + 2048 / (6 * 12288.0), 1e-3);
  EXPECT_DOUBLE_EQ(gpt3.hardware_flops_full(1) - gpt3.model_flops(1),
                   24.0 * 96 * 2048 * 12288 * 12288 * (1 + 2048 / (6 * 12288.0)));
}

// Narayanan et al. 2021, table 1, billions.
TEST(Scaling, Parameters) {
  struct Row {
    int64_t layers, hidden, heads;
    double billions;
  };
  for (const Row& row :
       {Row{24, 2304, 24, 1.65}, Row{30, 3072, 32, 3.56}, Row{36, 4096, 32, 7.47}, Row{40, 6144, 48, 18.45},
        Row{48, 8192, 64, 39.10}, Row{60, 10240, 80, 76.05}, Row{80, 12288, 96, 145.62}, Row{96, 16384, 128, 310.13},
        Row{105, 20480, 128, 529.60}, Row{128, 25600, 160, 1008.04}})
    EXPECT_NEAR(GptModel({row.layers, row.hidden, row.heads, 2048, 51200}).parameters() / 1e9, row.billions, 0.005);
}

// Values as published or evaluated by hand, to about two digits.
TEST(Scaling, ComputeOptimalDiffusionTransformers) {
  struct Row {
    double flops, parameters, tokens, loss, fid;
  };
  for (const Row& row : {Row{1e17, 4.1e6, 4.1e9, 1.166, 237}, Row{1.07e18, 15.7e6, 11.4e9, 1.093, 136},
                         Row{6e18, 41.9e6, 24.1e9, 1.043, 91}, Row{3.4e19, 112e6, 51e9, 0.994, 61},
                         Row{1e20, 207e6, 81e9, 0.966, 47}, Row{1.5e21, 965e6, 262e9, 0.897, 25.0}}) {
    const ComputeOptimal best = compute_optimal(row.flops);
    EXPECT_NEAR(best.parameters / row.parameters, 1, 0.01) << row.flops;
    EXPECT_NEAR(best.tokens / row.tokens, 1, 0.01) << row.flops;
    EXPECT_NEAR(best.loss / row.loss, 1, 0.001) << row.flops;
    EXPECT_NEAR(best.fid / row.fid, 1, 0.01) << row.flops;
    EXPECT_NEAR(6 * best.parameters * best.tokens / row.flops, 1, 0.02) << row.flops;
  }
  EXPECT_NEAR(compute_optimal(1.5e21).parameters, 0.965e9, 0.0005e9);
  EXPECT_NEAR(compute_optimal(1.5e21).fid, 25.0, 0.05);
}

}  // namespace
}  // namespace baton
