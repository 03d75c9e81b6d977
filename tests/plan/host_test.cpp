#include <gtest/gtest.h>

#include "engine/plan/dit_block.h"
#include "engine/plan/gpt_block.h"
#include "engine/plan/plan_gpt.h"
#include "tests/test_dir.h"

// The host starts every kernel and collective and binds where they are small.
namespace baton {
namespace {

// Counts: a second of the host for a kernel, a thousand for a collective.
Machine counting() {
  Machine machine = read_machine(test_dir() / "../configs/machines/h100-80g.yaml");
  machine.host = {.kernel = 1, .collective = 1000};
  return machine;
}

GptModel small_gpt() { return {24, 1024, 16, 1024, 50304}; }

Execution on(const char* mesh, Recompute recompute = Recompute::off) {
  return {.mesh = parse_mesh(mesh), .micro_batches = 8, .recompute = recompute};
}

TEST(Host, BindsWhereItTakesLongerThanTheDevice) {
  Cost cost{.compute = 2, .host = 3};
  cost.on(Axis::tp) = 0.5;
  EXPECT_EQ(cost.device(), 2.5);
  EXPECT_EQ(cost.waits(), 0.5);
  EXPECT_EQ(cost.seconds(), 3);
  cost += Cost{.compute = 4, .host = 1};
  EXPECT_EQ(cost.waits(), 0);
  EXPECT_EQ(cost.seconds(), 6.5);
  EXPECT_EQ((2 * cost).host, 8);
}

TEST(Host, StartsTheKernelsOfAGptBlock) {
  const Machine machine = counting();
  const auto block = [&](const Execution& e) { return gpt_block_cost(small_gpt(), e, machine); };
  const PassCosts plain = block(on(""));
  EXPECT_EQ(plain.forward.host, 15);
  EXPECT_EQ(plain.backward.host, 44);
  EXPECT_EQ(block(on("", Recompute::full)).backward.host, 44 + 15);
  EXPECT_EQ(block(on("", Recompute::selective)).backward.host, 44 + 4);  // two products, softmax, dropout
  EXPECT_EQ(block(on("tp=4", Recompute::full)).forward.host, 15 + 2000);
  EXPECT_EQ(block(on("tp=4", Recompute::full)).backward.host, 44 + 15 + 4000);
  EXPECT_EQ(block(on("tp=8")).forward.host, 15 + 4 + 2000);  // two heads are too few for the fused softmax
}

// As many as engine/models/wan_transformer.cpp starts, seen in a debugger, with the sums of 27 gradients.
TEST(Host, StartsTheKernelsOfADenoiserBlock) {
  const Machine machine = counting();
  DitModel model{.tokens = 64, .text_tokens = 25, .compute = DType::f32};
  const PassCosts block = dit_block_cost(model, on(""), machine);
  EXPECT_EQ(block.forward.host, 33);
  EXPECT_NEAR(block.backward.host, 66 + 27, 4);
  EXPECT_EQ(dit_block_cost(model, on("", Recompute::full), machine).backward.host, block.backward.host + 27);
  EXPECT_EQ(dit_block_cost(model, on("tp=2"), machine).forward.host, 33 + 6000);
  EXPECT_EQ(dit_block_cost(model, on("ulysses=2"), machine).forward.host, 33 + 4000);
}

// Each stage has its own host, so a pipeline's stages wait as long as one of them does.
TEST(Host, StepsTakeItsTimeWhereItBinds) {
  const Machine machine = counting();
  const Plan whole = plan_gpt(small_gpt(), on("", Recompute::full), machine);
  constexpr double block = 15 + 44 + 15, embedding = 13 + 15, head = 25 + 20;
  EXPECT_NEAR(whole.time.step(), 8 * (24 * block + embedding + head), 0.1);  // and the update
  EXPECT_GT(whole.time.host, 0.99 * whole.time.step());
  const Plan piped = plan_gpt(small_gpt(), on("pp=4", Recompute::full), machine);
  constexpr double stage = 6 * block + 2000;  // a message each way
  EXPECT_NEAR(piped.time.step(), 8 * (stage + head) + 3 * stage, 0.1);
}

TEST(Host, MakesNoDifferenceToLargeKernels) {
  Machine machine = read_machine(test_dir() / "../configs/machines/a100-80g.yaml");
  const GptModel large{96, 12288, 96, 2048, 51200};
  const Plan plan = plan_gpt(large, on("tp=8,pp=8"), machine);
  EXPECT_LT(plan.time.host, 0.002 * plan.time.step());
  machine.host = {};
  const Plan without = plan_gpt(large, on("tp=8,pp=8"), machine);
  EXPECT_EQ(without.time.host, 0);
  EXPECT_EQ(without.time.compute, plan.time.compute);
}

}  // namespace
}  // namespace baton
