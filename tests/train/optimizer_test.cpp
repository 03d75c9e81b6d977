#include "engine/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "tests/models/golden.h"

namespace baton {
namespace {

using test::Golden;
using test::relative_error;

Tensor leaf(const Tensor& values) {
  Tensor parameter = affine(values, 1);
  parameter.set_requires_grad(true);
  return parameter;
}

// Gives `parameter` this gradient.
void set_gradient(const Tensor& parameter, const Tensor& gradient) {
  backward(sum(parameter * gradient), Tensor::full({}, 1));
}

Tensor row(const Tensor& all, int64_t index) {
  Shape shape(all.shape().begin() + 1, all.shape().end());
  const int64_t size = numel(shape);
  return all.alias(shape, contiguous_stride(shape), index * size);
}

// The parameter after each of the fixture's steps, through Optimizer with a name that says who updates it.
void expect_trajectory(Golden& golden, const std::string& fixture, const std::string& name,
                       const OptimizerConfig& config, double tolerance) {
  const Tensor parameter = leaf(golden.get(fixture + ".start"));
  Optimizer optimizer({{name, parameter}}, config, DType::f32);
  const Tensor grads = golden.get(fixture + ".grads"), params = golden.get(fixture + ".params");
  for (int64_t step = 0; step < grads.dim(0); ++step) {
    set_gradient(parameter, row(grads, step));
    optimizer.step(1, gradient_norm({{name, parameter}}));
    EXPECT_LE(relative_error(parameter, row(params, step)), tolerance) << fixture << " step " << step;
  }
}

OptimizerConfig unclipped() { return {.clip = 0}; }

TEST(Optimizer, AdamWIsPyTorchs) {
  Golden golden("optimizers");
  for (const char* fixture : {"adamw", "adamw_no_decay"}) {
    const Json& options = golden.description()["options"][fixture];
    OptimizerConfig config = unclipped();
    config.adamw = {options["lr"], options["betas"][0], options["betas"][1], options["eps"], options["weight_decay"]};
    expect_trajectory(golden, fixture, "proj_out.weight", config, 1e-6);
  }
}

TEST(Optimizer, MuonIsPyTorchs) {
  Golden golden("optimizers");
  for (const char* fixture : {"muon_tall", "muon_wide"}) {
    const Json& options = golden.description()["options"][fixture];
    OptimizerConfig config = unclipped();
    config.muon = {options["lr"], options["momentum"], options["weight_decay"]};
    expect_trajectory(golden, fixture, "blocks.0.ffn.net.2.weight", config, 1e-5);
  }
}

TEST(Optimizer, OrthogonalizeEvensOutSingularValues) {
  for (const Shape& shape : {Shape{3, 8, 8}, Shape{2, 6, 20}, Shape{2, 20, 6}}) {
    const Tensor x = Tensor::empty(shape);
    random_normal({x.data<float>(), static_cast<size_t>(x.numel())}, 1, 2);
    const Tensor y = orthogonalize(x, DType::f32);
    const int64_t rows = shape[1], columns = shape[2], small = std::min(rows, columns);
    // the mean of the squared singular values is |y|^2 / small
    for (int64_t i = 0; i < shape[0]; ++i) {
      double square = 0;
      for (int64_t k = 0; k < rows * columns; ++k) square += std::pow(y.data<float>()[i * rows * columns + k], 2);
      EXPECT_GT(square / static_cast<double>(small), 0.6) << shape[1];
      EXPECT_LT(square / static_cast<double>(small), 1.4) << shape[1];
    }
    const Tensor half = cast(orthogonalize(x, DType::bf16), DType::f32);
    EXPECT_LT(relative_error(half, y), 0.06);
  }
}

TEST(Optimizer, MuonTakesTheBlocksMatricesAlone) {
  Parameters parameters;
  for (const char* name :
       {"blocks.0.attn1.to_q.weight", "encoder.block.1.layer.0.SelfAttention.q.weight",
        "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight", "shared.weight", "proj_out.weight"})
    parameters.push_back({name, leaf(Tensor::full({4, 4}, 1))});
  parameters.push_back({"blocks.0.attn1.to_q.bias", leaf(Tensor::full({4}, 1))});
  std::vector<std::string> matrices;
  for (const Parameter& p : Optimizer(parameters, {}, DType::f32).state())
    if (p.name.starts_with("momentum.")) matrices.push_back(p.name.substr(9));
  EXPECT_EQ(matrices, (std::vector<std::string>{parameters[0].name, parameters[1].name}));

  OptimizerConfig adamw_alone;
  adamw_alone.muon.lr = 0;
  for (const Parameter& p : Optimizer(parameters, adamw_alone, DType::f32).state())
    EXPECT_FALSE(p.name.starts_with("momentum.")) << p.name;
}

TEST(Optimizer, ClipsTheNormOfAllGradientsTogether) {
  const Tensor a = leaf(Tensor::zeros({1})), b = leaf(Tensor::zeros({1}));
  OptimizerConfig config{.clip = 1};
  config.adamw = {.lr = 1, .beta1 = 0, .beta2 = 0, .eps = 1, .weight_decay = 0};
  Optimizer optimizer({{"a", a}, {"b", b}}, config, DType::f32);
  set_gradient(a, Tensor::full({1}, 3));
  set_gradient(b, Tensor::full({1}, 4));
  const double norm = gradient_norm({{"a", a}, {"b", b}});
  EXPECT_NEAR(norm, 5, 1e-6);
  optimizer.step(1, norm);
  // g / (|g| + 1) with g = 3/5 and 4/5
  EXPECT_NEAR(a.item(), -0.6 / 1.6, 1e-5);
  EXPECT_NEAR(b.item(), -0.8 / 1.8, 1e-5);
  EXPECT_FALSE(a.grad());
}

TEST(Optimizer, AveragesWithAWarmUp) {
  const Tensor p = leaf(Tensor::full({1}, 1));
  OptimizerConfig config{.ema = 0.5};
  Optimizer optimizer({{"p", p}}, config, DType::f32);
  double average = 1;
  for (int n = 1; n <= 12; ++n) {
    set_gradient(p, Tensor::full({1}, 1));
    optimizer.step(1, 1);
    const double decay = std::min(0.5, (1.0 + n) / (10.0 + n));
    average = decay * average + (1 - decay) * p.item();
    EXPECT_NEAR(optimizer.averages()[0].value.item(), average, 1e-6);
  }
}

TEST(Optimizer, LeavesParametersWithoutAGradient) {
  const Tensor used = leaf(Tensor::full({2}, 1)), unused = leaf(Tensor::full({2}, 1));
  Optimizer optimizer({{"used", used}, {"unused", unused}}, {}, DType::f32);
  set_gradient(used, Tensor::full({2}, 1));
  optimizer.step(1, gradient_norm({{"used", used}, {"unused", unused}}));
  EXPECT_LT(used.to_vector()[0], 1);
  EXPECT_EQ(unused.to_vector()[0], 1);
}

TEST(Optimizer, RefusesGradientsThatAreNotFinite) {
  const Tensor p = leaf(Tensor::full({2}, 1));
  Optimizer optimizer({{"p", p}}, {}, DType::f32);
  set_gradient(p, Tensor::full({2}, INFINITY));
  EXPECT_THROW(optimizer.step(1, gradient_norm({{"p", p}})), RunError);
  EXPECT_EQ(p.to_vector()[0], 1);
}

}  // namespace
}  // namespace baton
