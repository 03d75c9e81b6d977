#include "engine/models/wan_vae.h"

#include "engine/io/model_config.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "tests/models/golden.h"

namespace baton {
namespace {

class WanVaeGolden : public testing::TestWithParam<const char*> {};

TEST_P(WanVaeGolden, BothWaysAndEveryGradientAgreeWithPyTorch) {
  test::Golden golden(GetParam());
  const WanVae vae(read_wan_vae_config(golden.config_file()), golden, DType::f32);
  const auto posterior = vae.encode(golden.get("inputs.sample"));
  EXPECT_LE(test::relative_error(posterior.mean, golden.get("outputs.mean")), 1e-5);
  EXPECT_LE(test::relative_error(posterior.logvar, golden.get("outputs.logvar")), 1e-5);
  const Tensor decoded = clamp(vae.decode(golden.get("inputs.latents")), -1, 1);
  EXPECT_LE(test::relative_error(decoded, golden.get("outputs.sample")), 1e-5);
  backward(mean(square(posterior.mean - golden.get("targets.mean"))) +
           mean(square(posterior.logvar - golden.get("targets.logvar"))));
  backward(mean(square(decoded - golden.get("targets.sample"))));
  test::expect_gradients(golden, vae.parameters(), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, WanVaeGolden, testing::Values("vae_wan", "vae_wan_patch", "vae_wan_residual"));

TEST(WanVaeTest, WeightsInBf16ComputeInEitherType) {
  test::Golden golden("vae_wan");
  const WanVaeConfig config = read_wan_vae_config(golden.config_file());
  const WanVae trained(config, golden, DType::f32);
  NoGrad off;
  for (DType compute : {DType::f32, DType::bf16}) {
    test::HalfParameters half(trained.parameters());
    const WanVae constant(config, half, compute);
    EXPECT_LE(
        test::relative_error(clamp(constant.decode(golden.get("inputs.latents")), -1, 1), golden.get("outputs.sample")),
        0.05);
    EXPECT_LE(test::relative_error(constant.encode(golden.get("inputs.sample")).mean, golden.get("outputs.mean")),
              0.05);
  }
}

TEST(WanVaeTest, NormalizeAndBack) {
  test::Golden golden("vae_wan");
  const WanVae vae(read_wan_vae_config(golden.config_file()), golden, DType::f32);
  NoGrad off;
  const Tensor latents = golden.get("inputs.latents");
  EXPECT_LE(test::relative_error(vae.denormalize(vae.normalize(latents)), latents), 1e-6);
  EXPECT_GT(test::relative_error(vae.normalize(latents), latents), 0.1);
}

TEST(WanVaeTest, TilesBlendWithoutSeams) {
  test::Golden golden("vae_wan");
  const WanVae vae(read_wan_vae_config(golden.config_file()), golden, DType::f32);
  NoGrad off;
  const Tensor flat =
      Tensor::full({1, 4, 1, 24, 20}, 0.3f);  // a constant: tiles differ from the whole near their borders alone
  const Tensor whole = vae.decode(flat), tiled = vae.decode_tiled(flat, 96);
  ASSERT_EQ(whole.shape(), tiled.shape());
  EXPECT_LE(test::relative_error(tiled, whole), 0.1);
  EXPECT_EQ(vae.decode_tiled(flat, 4096).to_vector(), whole.to_vector());
}

}  // namespace
}  // namespace baton
