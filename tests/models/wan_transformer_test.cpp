#include "engine/models/wan_transformer.h"

#include "engine/core/error.h"
#include "engine/io/model_config.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "tests/models/golden.h"

namespace baton {
namespace {

class WanTransformerGolden : public testing::TestWithParam<std::tuple<const char*, Recompute>> {};

TEST_P(WanTransformerGolden, OutputAndEveryGradientAgreeWithPyTorch) {
  test::Golden golden(std::get<0>(GetParam()));
  WanTransformer model(read_wan_transformer_config(golden.config_file()), golden, DType::f32);
  model.set_recompute(std::get<1>(GetParam()));
  Tensor latents = golden.get("inputs.hidden_states"), states = golden.get("inputs.encoder_hidden_states");
  latents.set_requires_grad(true);
  states.set_requires_grad(true);
  const Tensor out = model(latents, golden.get("inputs.timestep"), model.encode_text(states, {}));
  EXPECT_LE(test::relative_error(out, golden.get("outputs.sample")), 1e-5);
  const Tensor loss = mean(square(out - golden.get("targets.sample")));
  EXPECT_NEAR(loss.item(), golden.description()["loss"].get<float>(), 1e-5 * loss.item());
  backward(loss);
  test::expect_gradients(golden, model.parameters(), 1e-4);
  EXPECT_LE(test::relative_error(latents.grad(), golden.get("input_grads.hidden_states")), 1e-4);
  EXPECT_LE(test::relative_error(states.grad(), golden.get("input_grads.encoder_hidden_states")), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, WanTransformerGolden,
                         testing::Combine(testing::Values("wan_transformer", "wan_transformer_plain"),
                                          testing::Values(Recompute::off, Recompute::selective, Recompute::full)));

struct Gradients {
  Tensor out;
  std::vector<Tensor> values;
};

Gradients gradients(Recompute mode, DType compute, int64_t every = 1) {
  test::Golden golden("wan_transformer");
  WanTransformer model(read_wan_transformer_config(golden.config_file()), golden, compute);
  model.set_recompute(mode, every);
  const Tensor out = model(golden.get("inputs.hidden_states"), golden.get("inputs.timestep"),
                           model.encode_text(golden.get("inputs.encoder_hidden_states"), {}));
  backward(mean(square(out)));
  Gradients result{out, {}};
  for (const Parameter& p : model.parameters()) result.values.push_back(p.value.grad());
  return result;
}

TEST(WanTransformerTest, RecomputationLeavesEveryBitOfTheGradients) {
  for (DType compute : {DType::f32, DType::bf16}) {
    const Gradients off = gradients(Recompute::off, compute);
    for (const auto& [mode, every] :
         {std::pair{Recompute::selective, 1}, {Recompute::full, 1}, {Recompute::full, 2}, {Recompute::selective, 2}}) {
      const Gradients again = gradients(mode, compute, every);
      EXPECT_EQ(off.out.to_vector(), again.out.to_vector());
      for (size_t i = 0; i < off.values.size(); ++i)
        EXPECT_EQ(off.values[i].to_vector(), again.values[i].to_vector()) << i;
    }
  }
}

TEST(WanTransformerTest, PaddingIsOneKeyWithItsMultiplicity) {
  test::Golden golden("wan_transformer");
  WanTransformer model(read_wan_transformer_config(golden.config_file()), golden, DType::f32);
  const Tensor states = golden.get("inputs.encoder_hidden_states");  // [2, 7, text_dim], zeros behind 4 and 6 tokens
  const auto lengths = golden.description()["text_lengths"].get<std::vector<int64_t>>();
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end()), whole = states.dim(1);
  const Tensor zero = Tensor::zeros({2, 1, states.dim(2)});
  std::vector<float> count(2 * (longest + 1), 0.0f);
  for (int64_t b = 0; b < 2; ++b) {
    std::fill_n(count.begin() + b * (longest + 1), lengths[b], 1.0f);
    count[b * (longest + 1) + longest] = static_cast<float>(whole - lengths[b]);
  }
  NoGrad off;
  const TextContext text = model.encode_text(concat({contiguous(narrow(states, 1, 0, longest)), zero}, 1),
                                             Tensor::from(count, {2, longest + 1}));
  const Tensor out = model(golden.get("inputs.hidden_states"), golden.get("inputs.timestep"), text);
  EXPECT_LE(test::relative_error(out, golden.get("outputs.sample")), 1e-5);
}

TEST(WanTransformerTest, Bf16StaysNearF32) {
  const Gradients f32 = gradients(Recompute::off, DType::f32), bf16 = gradients(Recompute::off, DType::bf16);
  EXPECT_LE(test::relative_error(bf16.out, f32.out), 0.02);
  EXPECT_GT(test::relative_error(bf16.out, f32.out), 1e-5);
}

TEST(WanTransformerTest, ConstantWeightsGiveTheSameResult) {
  test::Golden golden("wan_transformer");
  const WanTransformerConfig config = read_wan_transformer_config(golden.config_file());
  const WanTransformer trained(config, golden, DType::f32);
  CopiedParameters copy(trained.parameters(), false);
  const WanTransformer constant(config, copy, DType::f32);
  NoGrad off;
  for (int pass = 0; pass < 2; ++pass) {
    const Tensor out = constant(golden.get("inputs.hidden_states"), golden.get("inputs.timestep"),
                                constant.encode_text(golden.get("inputs.encoder_hidden_states"), {}));
    EXPECT_LE(test::relative_error(out, golden.get("outputs.sample")), 1e-5);
  }
}

TEST(WanTransformerTest, WeightsInBf16ComputeInEitherType) {
  test::Golden golden("wan_transformer");
  const WanTransformerConfig config = read_wan_transformer_config(golden.config_file());
  const WanTransformer trained(config, golden, DType::f32);
  NoGrad off;
  for (DType compute : {DType::f32, DType::bf16}) {
    test::HalfParameters half(trained.parameters());
    const WanTransformer constant(config, half, compute);
    const Tensor out = constant(golden.get("inputs.hidden_states"), golden.get("inputs.timestep"),
                                constant.encode_text(golden.get("inputs.encoder_hidden_states"), {}));
    EXPECT_LE(test::relative_error(out, golden.get("outputs.sample")), 0.02);
  }
}

TEST(WanTransformerTest, RefusesLatentsThatDoNotFit) {
  test::Golden golden("wan_transformer");
  WanTransformer model(read_wan_transformer_config(golden.config_file()), golden, DType::f32);
  const TextContext text = model.encode_text(golden.get("inputs.encoder_hidden_states"), {});
  EXPECT_THROW(model(Tensor::zeros({2, 16, 1, 9, 8}), golden.get("inputs.timestep"), text), InputError);
  EXPECT_THROW(model(Tensor::zeros({2, 15, 1, 10, 8}), golden.get("inputs.timestep"), text), InputError);
}

}  // namespace
}  // namespace baton
