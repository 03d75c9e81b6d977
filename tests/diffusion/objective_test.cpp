#include "engine/diffusion/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/core/require.h"

namespace baton {
namespace {

Tensor random_tensor(const Shape& shape, uint64_t stream) {
  std::vector<float> values(numel(shape));
  random_normal(values, 1, stream);
  return Tensor::from(values, shape);
}

TEST(Objective, NoisesEachItemToItsOwnLevel) {
  const Tensor image = random_tensor({3, 2, 5}, 0), noise = random_tensor({3, 2, 5}, 1);
  const std::vector<double> t{0, 0.3, 1};
  const std::vector<float> x = image.to_vector(), n = noise.to_vector(), out = noised(image, noise, t).to_vector();
  for (int b = 0; b < 3; ++b)
    for (int i = 0; i < 10; ++i) {
      const int at = b * 10 + i;
      EXPECT_FLOAT_EQ(out[at], static_cast<float>((1 - t[b]) * x[at] + t[b] * n[at]));
    }
  EXPECT_EQ(noised(image, noise, 0.3).to_vector(),
            noised(image, noise, std::vector<double>{0.3, 0.3, 0.3}).to_vector());
}

// What the samplers rely on: x0 = x_t - t v, and x1 = x_t + (1 - t) v.
TEST(Objective, TargetIsTheVelocityOfTheWay) {
  const Tensor image = random_tensor({2, 7}, 2), noise = random_tensor({2, 7}, 3);
  const std::vector<double> t{0.25, 0.9};
  const std::vector<float> x = noised(image, noise, t).to_vector(), v = flow_target(image, noise).to_vector();
  for (int i = 0; i < 14; ++i) {
    EXPECT_NEAR(x[i] - t[i / 7] * v[i], image.to_vector()[i], 1e-6);
    EXPECT_NEAR(x[i] + (1 - t[i / 7]) * v[i], noise.to_vector()[i], 1e-6);
  }
}

TEST(Objective, LossIsTheMeanSquareOfEachItem) {
  Tensor prediction = random_tensor({2, 3, 4}, 4);
  prediction.set_requires_grad(true);
  const Tensor target = random_tensor({2, 3, 4}, 5);
  const Tensor loss = flow_loss(prediction, target);
  ASSERT_EQ(loss.shape(), Shape{2});
  const std::vector<float> p = prediction.to_vector(), q = target.to_vector();
  for (int b = 0; b < 2; ++b) {
    double sum = 0;
    for (int i = 12 * b; i < 12 * b + 12; ++i) sum += std::pow(p[i] - q[i], 2);
    EXPECT_NEAR(loss.to_vector()[b], sum / 12, 1e-6);
  }
  backward(loss, Tensor::from(std::vector<float>{1, 2}, {2}));
  const std::vector<float> gradient = prediction.grad().to_vector();
  for (int i = 0; i < 24; ++i) EXPECT_NEAR(gradient[i], (i < 12 ? 1 : 2) * 2 * (p[i] - q[i]) / 12, 1e-6);
}

TEST(Objective, RefusesWhatDoesNotFit) {
  const Tensor image = Tensor::zeros({2, 3});
  EXPECT_THROW(noised(image, Tensor::zeros({3, 2}), std::vector<double>{0, 0}), LogicError);
  EXPECT_THROW(noised(image, Tensor::zeros({2, 3}), std::vector<double>{0}), LogicError);
  EXPECT_THROW(flow_target(image, Tensor::zeros({3, 2})), LogicError);
}

}  // namespace
}  // namespace baton
