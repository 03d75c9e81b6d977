#include <memory>

#include "engine/io/model_config.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "tests/models/golden.h"

namespace baton {
namespace {

std::unique_ptr<TextEncoder> build(test::Golden& golden, ParameterSource& source, DType compute) {
  const auto architecture = golden.description()["class"].get<std::string>();
  if (architecture == "CLIPTextModel")
    return std::make_unique<ClipText>(read_clip_text_config(golden.config_file()), source, compute);
  return std::make_unique<T5Encoder>(read_t5_config(golden.config_file(), architecture), source, compute);
}
std::unique_ptr<TextEncoder> build(test::Golden& golden) { return build(golden, golden, DType::f32); }

Tensor as_i32(const Tensor& ids) {
  std::vector<int32_t> values(ids.data<int64_t>(), ids.data<int64_t>() + ids.numel());
  return Tensor::from_ids(values, ids.shape());
}

Tensor as_f32(const Tensor& mask) {
  std::vector<float> values(mask.data<int64_t>(), mask.data<int64_t>() + mask.numel());
  return Tensor::from(values, mask.shape());
}

class TextEncoderGolden : public testing::TestWithParam<const char*> {};

TEST_P(TextEncoderGolden, StatesAndEveryGradientAgreeWithPyTorch) {
  test::Golden golden(GetParam());
  const auto encoder = build(golden);
  const Tensor present = as_f32(golden.get("inputs.attention_mask"));
  const Tensor states = encoder->encode(as_i32(golden.get("inputs.input_ids")), present);
  const Tensor mask = reshape(present, {present.dim(0), present.dim(1), 1});
  EXPECT_LE(test::relative_error(states * mask, golden.get("outputs.last_hidden_state") * mask), 1e-5);
  const Tensor loss = mean(square((states - golden.get("targets.last_hidden_state")) * mask));
  EXPECT_NEAR(loss.item(), golden.description()["loss"].get<float>(), 1e-5 * loss.item());
  backward(loss);
  test::expect_gradients(golden, encoder->parameters(), 1e-4);
}

TEST_P(TextEncoderGolden, WeightsInBf16ComputeInEitherType) {
  test::Golden golden(GetParam());
  const auto trained = build(golden);
  const Tensor ids = as_i32(golden.get("inputs.input_ids")), present = as_f32(golden.get("inputs.attention_mask"));
  const Tensor mask = reshape(present, {present.dim(0), present.dim(1), 1});
  NoGrad off;
  for (DType compute : {DType::f32, DType::bf16}) {
    test::HalfParameters half(trained->parameters());
    const auto constant = build(golden, half, compute);
    EXPECT_LE(
        test::relative_error(constant->encode(ids, present) * mask, golden.get("outputs.last_hidden_state") * mask),
        0.05);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TextEncoderGolden,
                         testing::Values("umt5", "t5_gated", "t5_relu", "clip_text", "clip_text_gelu"));

}  // namespace
}  // namespace baton
