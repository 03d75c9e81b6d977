#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/dtype.h"
#include "engine/core/random.h"
#include "engine/tensor/tensor.h"

// What every op test needs: random inputs, a comparison, and gradients against finite differences.
//   check_gradient([](auto& in) { return linear(in[0], in[1], in[2]); }, {random({5, 3}, 1), random({7, 3}, 2),
//   random({7}, 3)}); check_bf16([](auto& in) { … }, {…});
namespace baton::test {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// Standard normal values times `scale`; the same seed gives the same tensor.
inline Tensor random(Shape shape, uint64_t seed, float scale = 1) {
  Tensor t = Tensor::empty(std::move(shape));
  random_normal(std::span(t.data<float>(), t.numel()), seed, 0);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] *= scale;
  return t;
}

inline Tensor to_bf16(const Tensor& x) {
  const std::vector<float> values = x.to_vector();
  Tensor t = Tensor::empty(x.shape(), DType::bf16);
  for (size_t i = 0; i < values.size(); ++i) t.data<uint16_t>()[i] = f32_to_bf16(values[i]);
  return t;
}

// Every |got - wanted| <= tolerance * the largest |wanted| (at least `floor`). One failure names the worst element.
template <typename Values>
void expect_close(const std::vector<float>& got, const Values& wanted, double tolerance, const char* what = "",
                  double floor = 1e-30) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  double largest = floor, worst = -1;
  size_t where = 0;
  for (double value : wanted) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - static_cast<double>(wanted[i]));
    if (!(error <= worst)) worst = error, where = i;  // NaN counts as worst
    if (std::isnan(error)) break;
  }
  if (got.empty()) return;
  EXPECT_LE(worst, tolerance * largest) << what << " element " << where << ": got " << got[where] << ", wanted "
                                        << wanted[where];
}
template <typename Values>
void expect_close(const Tensor& got, const Values& wanted, double tolerance, const char* what = "") {
  expect_close(got.to_vector(), wanted, tolerance, what);
}

// Runs f on leaves made of `inputs` and backward from its output with a fixed random gradient, `passes` times without
// clearing.
struct Run {
  Tensor output, direction;
  std::vector<Tensor> gradients;  // one of each floating input
};
inline Run run(const Function& f, const std::vector<Tensor>& inputs, int passes = 1) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(input.detach());
    if (is_floating(input.dtype())) leaves.back().set_requires_grad(true);
  }
  Run result;
  for (int pass = 0; pass < passes; ++pass) {
    result.output = f(leaves);
    result.direction = to_bf16(random(result.output.shape(), 4711));  // the same values whatever the output's dtype
    if (result.output.dtype() != DType::bf16)
      result.direction = Tensor::from(result.direction.to_vector(), result.output.shape());
    backward(result.output, result.direction);
  }
  for (const Tensor& leaf : leaves) result.gradients.push_back(leaf.grad());
  return result;
}

// direction . f(inputs)
inline double project(const Function& f, const std::vector<Tensor>& inputs, const std::vector<float>& direction) {
  NoGrad off;
  const std::vector<float> values = f(inputs).to_vector();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += static_cast<double>(values[i]) * direction[i];
  return sum;
}

// d project / d inputs[which] along `step` (a tensor's worth of values), by the fourth-order central difference.
inline double slope(const Function& f, std::vector<Tensor> inputs, size_t which, const std::vector<float>& step,
                    const std::vector<float>& direction, double h) {
  const std::vector<float> base = inputs[which].to_vector();
  const auto at = [&](double distance) {
    std::vector<float> moved(base);
    for (size_t i = 0; i < base.size(); ++i) moved[i] = static_cast<float>(base[i] + distance * step[i]);
    inputs[which] = Tensor::from(moved, inputs[which].shape());
    return project(f, inputs, direction);
  };
  return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

// f of f32 inputs (others are passed through): every gradient against finite differences, element by element for small
// inputs and along random directions for large ones; and a second backward pass doubles the gradients, bit for bit.
// Errors are relative to the largest gradient. The inputs should be of order 1 and f smooth within about 2h of them.
inline void check_gradient(const Function& f, const std::vector<Tensor>& inputs, double tolerance = 1e-3,
                           double h = 0.03) {
  const Run once = run(f, inputs), twice = run(f, inputs, 2);
  const std::vector<float> direction = once.direction.to_vector();
  for (size_t which = 0; which < inputs.size(); ++which) {
    if (!is_floating(inputs[which].dtype())) continue;
    const std::string label = "gradient of input " + std::to_string(which);
    ASSERT_TRUE(once.gradients[which].defined()) << label;
    ASSERT_EQ(once.gradients[which].shape(), inputs[which].shape()) << label;
    const std::vector<float> gradient = once.gradients[which].to_vector();
    std::vector<float> doubled(gradient);
    for (float& value : doubled) value *= 2;
    EXPECT_EQ(twice.gradients[which].to_vector(), doubled) << label << " after two passes";

    const size_t count = gradient.size();
    const bool each = count <= 256;
    std::vector<float> measured, expected;
    for (size_t i = 0; i < (each ? count : 32); ++i) {
      std::vector<float> step(count, 0.0f);
      if (each)
        step[i] = 1;
      else
        random_normal(step, 99, i);
      double dot = 0, norm = 0;
      for (float value : step) norm += static_cast<double>(value) * value;
      const double length =
          std::min(std::sqrt(static_cast<double>(count)), 8.0);  // longer steps stand out of the rounding noise
      for (size_t j = 0; j < count; ++j) {
        if (!each) step[j] = static_cast<float>(step[j] * length / std::sqrt(norm));
        dot += static_cast<double>(gradient[j]) * step[j];
      }
      measured.push_back(static_cast<float>(dot));
      expected.push_back(static_cast<float>(slope(f, inputs, which, step, direction, h)));
    }
    expect_close(measured, expected, tolerance, label.c_str(), 1e-3);
  }
}

// f of the inputs rounded to bf16 against f of the same values in f32: output and gradients, relative to the largest
// value.
inline void check_bf16(const Function& f, const std::vector<Tensor>& inputs, double tolerance = 0.02) {
  std::vector<Tensor> low, high;
  for (const Tensor& input : inputs) {
    const bool round = input.dtype() == DType::f32;
    low.push_back(round ? to_bf16(input) : input);
    high.push_back(round ? Tensor::from(low.back().to_vector(), input.shape()) : input);
  }
  const Run got = run(f, low), wanted = run(f, high);
  expect_close(got.output, wanted.output.to_vector(), tolerance, "output");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (wanted.gradients[i])
      expect_close(got.gradients[i], wanted.gradients[i].to_vector(), tolerance,
                   ("gradient of input " + std::to_string(i)).c_str());
}

}  // namespace baton::test
