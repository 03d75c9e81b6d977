#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/core/allocator.h"
#include "engine/diffusion/objective.h"
#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/reduce.h"
#include "engine/plan/dit_activations.h"
#include "tests/ops/op_test.h"
#include "tests/plan/small_dit.h"

// What the planner counts against what the tape keeps.
namespace baton {
namespace {

double count(const Parameters& parameters) {
  double all = 0;
  for (const Parameter& p : parameters) all += static_cast<double>(p.value.numel());
  return all;
}

DitModel small_model(DType compute, int64_t layers) { return test::small_dit(compute, layers, 9); }

TEST(DitMemory, ParametersAreTheModels) {
  for (const bool cross_norm : {false, true}) {
    WanTransformerConfig c = small_model(DType::f32, 3).transformer;
    c.cross_attn_norm = cross_norm;
    RandomParameters source(1);
    const DitParameters p = parameters_of(c);
    EXPECT_EQ(3 * p.block() + p.outside, count(WanTransformer(c, source, DType::f32).parameters()));
  }
  for (const bool gated : {false, true}) {
    const T5EncoderConfig c{.vocab_size = 50,
                            .d_model = 24,
                            .d_kv = 6,
                            .d_ff = 40,
                            .num_layers = 2,
                            .num_heads = 3,
                            .gated = gated,
                            .bias_in_every_layer = gated};
    RandomParameters source(1);
    const TextEncoderParameters p = parameters_of(c);
    EXPECT_EQ(p.block_matrices + p.others, count(T5Encoder(c, source, DType::f32).parameters()));
  }
}

// Bytes that live after the forward pass of `batch` samples and did not before.
double measured(const DitModel& m, int64_t batch, Recompute recompute) {
  RandomParameters source(3);
  WanTransformer model(m.transformer, source, m.compute);
  model.set_recompute(recompute);
  const Tensor latents = test::random({batch, 4, 1, 24, 32}, 1), target = test::random({batch, 4, 1, 24, 32}, 2);
  const Tensor states = test::random({batch, m.text_tokens, 48}, 3), time = Tensor::full({batch}, 500);
  const Tensor present = Tensor::full({batch, m.text_tokens}, 1);
  const int64_t before = memory_use().live;
  const Tensor loss = flow_loss(model(latents, time, model.encode_text(states, present)), target);
  return static_cast<double>(memory_use().live - before);
}

class KeptBytes : public testing::TestWithParam<std::tuple<DType, Recompute>> {};

// One block more keeps so many bytes more; the rest is outside the blocks.
TEST_P(KeptBytes, AreAsPlanned) {
  const auto [compute, recompute] = GetParam();
  const Execution e{.micro_batch = 3};
  const DitModel m = small_model(compute, 1);
  const double one = measured(m, 3, recompute), two = measured(small_model(compute, 2), 3, recompute);
  const double block = dit_block_activations(m, e, recompute) + dit_block_weight_copies(m, e, recompute);
  fmt::print("block {:.0f} of {:.0f}, outside {:.0f} of {:.0f}\n", block, two - one, dit_activations_outside(m, e),
             2 * one - two);
  EXPECT_NEAR(block / (two - one), 1, 0.02);
  EXPECT_NEAR((block + dit_activations_outside(m, e)) / one, 1, 0.03);
}

// The most that forward and backward pass hold at once, beyond weights and the gradients of an earlier micro-batch.
TEST_P(KeptBytes, AndThePeakOfBothPasses) {
  const auto [compute, recompute] = GetParam();
  const DitModel m = small_model(compute, 3);
  RandomParameters source(3);
  WanTransformer model(m.transformer, source, m.compute);
  model.set_recompute(recompute);
  const Tensor latents = test::random({3, 4, 1, 24, 32}, 1), target = test::random(latents.shape(), 2);
  const Tensor states = test::random({3, m.text_tokens, 48}, 3), time = Tensor::full({3}, 500);
  const Tensor present = Tensor::full({3, m.text_tokens}, 1);
  const auto pass = [&] {
    backward(mean(flow_loss(model(latents, time, model.encode_text(states, present)), target)));
  };
  pass();
  const int64_t before = memory_use().live;
  reset_peak();
  pass();
  const auto peak = static_cast<double>(memory_use().peak - before);
  const Execution e{.micro_batch = 3, .recompute = recompute};
  const double planned = 3 * (dit_block_activations(m, e, recompute) + dit_block_weight_copies(m, e, recompute)) +
                         dit_activations_outside(m, e) + dit_working(m, e);
  fmt::print("peak {:.0f} of {:.0f}, {:+.1f} %\n", planned, peak, 100 * (planned / peak - 1));
  EXPECT_NEAR(planned / peak, 1, 0.05);
}

INSTANTIATE_TEST_SUITE_P(DitMemory, KeptBytes,
                         testing::Combine(testing::Values(DType::f32, DType::bf16),
                                          testing::Values(Recompute::off, Recompute::selective, Recompute::full)));

TEST(DitMemory, TextEncoder) {
  for (const DType compute : {DType::f32, DType::bf16}) {
    DitModel m = small_model(compute, 1);
    m.text_encoder = {.vocab_size = 200,
                      .d_model = 48,
                      .d_kv = 16,
                      .d_ff = 96,
                      .num_layers = 2,
                      .num_heads = 3,
                      .gated = true,
                      .activation = Activation::gelu_tanh,
                      .bias_in_every_layer = true};
    RandomParameters source(4);
    const T5Encoder encoder(*m.text_encoder, source, compute);
    const Tensor ids = Tensor::zeros({8, m.text_tokens}, DType::i32), present = Tensor::full({8, m.text_tokens}, 1);
    const int64_t before = memory_use().live;
    const Tensor states = encoder.encode(ids, present);
    const auto kept = static_cast<double>(memory_use().live - before);
    fmt::print("text encoder {:.0f} of {:.0f}\n", text_encoder_activations(m, {.micro_batch = 8}), kept);
    EXPECT_NEAR(text_encoder_activations(m, {.micro_batch = 8}) / kept, 1, 0.03);
  }
}

}  // namespace
}  // namespace baton
