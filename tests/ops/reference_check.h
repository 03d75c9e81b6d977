#pragma once

#include <algorithm>
#include <string>

#include "tests/ops/op_test.h"

namespace baton::test {

using Values = std::vector<double>;
using Reference = std::function<Values(const std::vector<Values>&)>;

inline std::vector<Values> in_double(const std::vector<Tensor>& tensors) {
  std::vector<Values> values;
  for (const Tensor& t : tensors) {
    const std::vector<float> v = t.to_vector();
    values.emplace_back(v.begin(), v.end());
  }
  return values;
}

// d (direction . reference) / d inputs[which][i], by central differences in double.
inline double reference_slope(const Reference& reference, std::vector<Values>& inputs, size_t which, size_t i,
                              const std::vector<float>& direction) {
  constexpr double h = 1e-5;
  const double here = inputs[which][i];
  const auto at = [&](double value) {
    inputs[which][i] = value;
    const Values out = reference(inputs);
    double sum = 0;
    for (size_t j = 0; j < out.size(); ++j) sum += out[j] * direction[j];
    return sum;
  };
  const double slope = (at(here + h) - at(here - h)) / (2 * h);
  inputs[which][i] = here;
  return slope;
}

// f against a plain reference in double precision: the values, and the gradient of every input at up to 64 places,
// relative to the largest. Inputs may be f32 or bf16. A second backward pass must double the gradients.
inline void check_reference(const Function& f, const Reference& reference, const std::vector<Tensor>& inputs,
                            double tolerance = 2e-6, double gradient_tolerance = 1e-5) {
  std::vector<Values> values = in_double(inputs);
  const auto once = run(f, inputs), twice = run(f, inputs, 2);
  expect_close(once.output, reference(values), tolerance, "output");
  const std::vector<float> direction = once.direction.to_vector();
  for (size_t which = 0; which < inputs.size(); ++which) {
    const std::string label = "gradient of input " + std::to_string(which);
    ASSERT_TRUE(once.gradients[which].defined()) << label;
    const std::vector<float> gradient = once.gradients[which].to_vector(), second = twice.gradients[which].to_vector();
    std::vector<float> got, doubled, wanted;
    const size_t places = inputs[0].numel() > 10000 ? 8 : 64, step = std::max<size_t>(1, gradient.size() / places);
    for (size_t i = 0; i < gradient.size(); i += step) {
      got.push_back(gradient[i]);
      doubled.push_back(second[i]);
      wanted.push_back(static_cast<float>(reference_slope(reference, values, which, i, direction)));
    }
    expect_close(got, wanted, gradient_tolerance, label.c_str(), 1e-3);
    for (float& v : got) v *= 2;
    expect_close(doubled, got, once.gradients[which].dtype() == DType::f32 ? 0 : 0.01,
                 (label + " after two passes").c_str(), 1e-30);
  }
}

}  // namespace baton::test
