#include "engine/ops/linear.h"

#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "tests/ops/op_test.h"
#include "tests/reference/matmul.h"

namespace baton {
namespace {

using test::random;

std::vector<double> reference_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const int64_t m = x.numel() / x.dim(-1), n = weight.dim(0), k = x.dim(-1);
  const std::vector<float> x_values = x.to_vector(), weight_values = weight.to_vector();
  std::vector<double> y = reference::matmul({x_values, k, 1}, {weight_values, 1, k}, m, n, k);
  if (bias) {
    const std::vector<float> b = bias.to_vector();
    for (int64_t i = 0; i < m * n; ++i) y[i] += b[i % n];
  }
  return y;
}

struct Sizes {
  int64_t m, n, k;
};
class LinearSizes : public testing::TestWithParam<Sizes> {};

TEST_P(LinearSizes, MatchesDoubleReference) {
  const auto [m, n, k] = GetParam();
  const Tensor x = random({m, k}, 1), weight = random({n, k}, 2), bias = random({n}, 3);
  const auto wanted = reference_linear(x, weight, bias);
  test::expect_close(linear(x, weight, bias), wanted, 1e-5, "f32");
  test::expect_close(linear(x, weight), reference_linear(x, weight, {}), 1e-5, "f32 without bias");
  test::expect_close(linear(x, PackedWeight(weight, DType::f32), bias), wanted, 1e-5, "f32 packed");

  const Tensor low_x = test::to_bf16(x), low_weight = test::to_bf16(weight), low_bias = test::to_bf16(bias);
  const auto low_wanted = reference_linear(low_x, low_weight, low_bias);
  test::expect_close(linear(low_x, low_weight, low_bias), low_wanted, 0.004, "bf16");
  test::expect_close(linear(low_x, PackedWeight(low_weight, DType::bf16), low_bias), low_wanted, 0.004, "bf16 packed");
  test::expect_close(linear(low_x, PackedWeight(weight, DType::bf16), low_bias), low_wanted, 0.004,
                     "bf16 packed from f32");
  test::expect_close(linear(low_x, low_weight, bias), reference_linear(low_x, low_weight, bias), 0.004,
                     "bf16, f32 bias");
}

TEST_P(LinearSizes, Gradient) {
  const auto [m, n, k] = GetParam();
  const auto f = [](const auto& in) { return linear(in[0], in[1], in[2]); };
  const std::vector<Tensor> inputs = {random({m, k}, 1), random({n, k}, 2), random({n}, 3)};
  test::check_gradient(f, inputs);
  test::check_bf16(f, inputs);
}

INSTANTIATE_TEST_SUITE_P(All, LinearSizes,
                         testing::Values(Sizes{1, 1, 1}, Sizes{1, 17, 3}, Sizes{5, 1, 17}, Sizes{3, 3, 1},
                                         Sizes{17, 3, 33}, Sizes{64, 48, 80}, Sizes{129, 65, 31}, Sizes{200, 96, 256}));

TEST(Linear, TakesLeadingDimensions) {
  const Tensor x = random({2, 3, 4, 5}, 1), weight = random({7, 5}, 2);
  const Tensor y = linear(x, weight);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 4, 7}));
  test::expect_close(y, reference_linear(x, weight, {}), 1e-5);
  test::check_gradient([](const auto& in) { return linear(in[0], in[1]); }, {x, weight});
}

TEST(Linear, ReadsStridedWindows) {
  const Tensor x = random({4, 6, 20}, 1), weight = random({12, 16}, 2), bias = random({24}, 3);
  const Tensor window = x.alias({4, 6, 8}, {120, 20, 1}, 5), part = weight.alias({12, 8}, {16, 1}, 4),
               half = bias.alias({12}, {2});
  test::expect_close(linear(window, part, half), reference_linear(window, part, half), 1e-5);
  const Tensor uneven = x.alias({4, 3, 8}, {120, 40, 1}),
               turned = weight.alias({8, 12}, {1, 16}).alias({12, 8}, {1, 16});
  test::expect_close(linear(uneven, part, half), reference_linear(uneven, part, half), 1e-5);
  test::expect_close(linear(window, turned, half), reference_linear(window, turned, half), 1e-5);
  const Tensor repeated = x.alias({4, 6, 8}, {0, 20, 1});
  test::expect_close(linear(repeated, part, half), reference_linear(repeated, part, half), 1e-5);
  const Tensor same_row = x.alias({6, 8}, {0, 1});
  test::expect_close(linear(same_row, part, half), reference_linear(same_row, part, half), 1e-5);
}

class LinearActivation : public testing::TestWithParam<Activation> {};

TEST_P(LinearActivation, FusedEqualsComposed) {
  const Tensor x = random({9, 24}, 1), weight = random({20, 24}, 2, 0.3f), bias = random({20}, 3);
  const Tensor pre = linear(x, weight, bias);
  const auto compose = [&](const Tensor& t) {
    switch (GetParam()) {
      case Activation::gelu_tanh:
        return gelu_tanh(t);
      case Activation::gelu:
        return gelu(t);
      case Activation::quick_gelu:
        return quick_gelu(t);
      case Activation::silu:
        return silu(t);
      case Activation::relu:
        return relu(t);
      default:
        return t;
    }
  };
  const auto wanted = compose(pre).to_vector();
  test::expect_close(linear(x, weight, bias, GetParam()), wanted, 1e-5, "fused");
  test::expect_close(linear(x, PackedWeight(weight, DType::f32), bias, GetParam()), wanted, 1e-5, "packed");
  Tensor leaf = weight.detach();
  leaf.set_requires_grad(true);
  test::expect_close(linear(x, leaf, bias, GetParam()), wanted, 1e-5, "recorded");
  const Tensor low_x = test::to_bf16(x), low_weight = test::to_bf16(weight);
  test::expect_close(linear(low_x, low_weight, bias, GetParam()), wanted, 0.02, "bf16");
}

TEST_P(LinearActivation, Gradient) {
  if (GetParam() == Activation::relu) return;  // not smooth: elementwise tests cover it
  const auto f = [](const auto& in) { return linear(in[0], in[1], in[2], GetParam()); };
  test::check_gradient(f, {random({4, 6}, 1), random({5, 6}, 2, 0.3f), random({5}, 3)}, 2e-3);
}

INSTANTIATE_TEST_SUITE_P(All, LinearActivation,
                         testing::Values(Activation::none, Activation::gelu_tanh, Activation::gelu,
                                         Activation::quick_gelu, Activation::silu, Activation::relu));

TEST(Linear, PackedWeightServesEveryRowCount) {
  const Tensor weight = random({96, 40}, 2), bias = random({96}, 3);
  const PackedWeight packed(weight, DType::f32);
  for (int64_t m : {1, 2, 15, 64, 130, 700}) {
    const Tensor x = random({m, 40}, 1);
    test::expect_close(linear(x, packed, bias), reference_linear(x, weight, bias), 1e-5);
  }
  EXPECT_GE(packed.bytes(), weight.bytes());
}

TEST(Linear, GradientsOnlyWhereWanted) {
  Tensor x = random({4, 6}, 1), weight = random({5, 6}, 2);
  weight.set_requires_grad(true);
  backward(linear(x, weight));
  ASSERT_TRUE(weight.grad().defined());
  EXPECT_EQ(weight.grad().dtype(), DType::f32);
  Tensor y = random({4, 6}, 1);
  y.set_requires_grad(true);
  backward(linear(y, random({5, 6}, 2)));
  EXPECT_TRUE(y.grad().defined());
}

TEST(Linear, RefusesWhatDoesNotFit) {
  EXPECT_THROW(linear(random({4, 6}, 1), random({5, 7}, 2)), LogicError);
  EXPECT_THROW(linear(random({4, 6}, 1), random({5, 6}, 2), random({6}, 3)), LogicError);
  EXPECT_THROW(linear(random({4, 6}, 1), test::to_bf16(random({5, 6}, 2))), LogicError);
  EXPECT_THROW(linear(random({4, 6}, 1), PackedWeight()), LogicError);
  EXPECT_THROW(linear(random({4, 6}, 1), Tensor()), LogicError);
}

TEST(Linear, NoRows) {
  Tensor weight = random({5, 6}, 2), bias = random({5}, 3);
  weight.set_requires_grad(true);
  bias.set_requires_grad(true);
  const Tensor y = linear(random({0, 6}, 1), weight, bias);
  EXPECT_EQ(y.shape(), (Shape{0, 5}));
  backward(y, y.detach());
  EXPECT_EQ(weight.grad().to_vector(), std::vector<float>(30, 0.0f));
  EXPECT_EQ(bias.grad().to_vector(), std::vector<float>(5, 0.0f));
}

}  // namespace
}  // namespace baton
