#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/autograd/tape.h"
#include "engine/io/json.h"
#include "engine/io/tensor_store.h"
#include "engine/nn/parameters.h"
#include "engine/ops/elementwise.h"
#include "tests/test_dir.h"

// Fixtures of tools/golden: weights, inputs, outputs and the gradient of every parameter, as PyTorch computed them.
namespace baton::test {

class Golden : public ParameterSource {
 public:
  explicit Golden(const std::string& name)
      : store_(test_dir() / "golden" / (std::string(name) + ".safetensors")),
        description_(read_json(test_dir() / "golden" / (std::string(name) + ".json"))) {}

  Tensor provide(const std::string& name, const Shape& shape, Init) override {
    return store_.get("weights." + name, shape);
  }
  bool trainable() const override { return true; }
  Tensor get(const std::string& name) { return store_.get(name); }
  bool has(const std::string& name) const { return store_.contains(name); }
  const Json& description() const { return description_; }

  // config.json of the model, written to a file for the readers of engine/io.
  Path config_file() const {
    const Path path = Path(testing::TempDir()) / "golden_config.json";
    write_json(path, description_["config"]);
    return path;
  }

 private:
  TensorStore store_;
  Json description_;
};

// Constant weights in bf16, as files for sampling hold them.
class HalfParameters : public ParameterSource {
 public:
  explicit HalfParameters(const Parameters& original) : original_(original) {}
  Tensor provide(const std::string& name, const Shape&, Init) override {
    NoGrad off;
    return cast(find(original_, name).detach(), DType::bf16);
  }
  bool trainable() const override { return false; }

 private:
  const Parameters& original_;
};

// ||got - wanted|| / ||wanted||, in double.
inline double relative_error(const Tensor& got, const Tensor& wanted) {
  const auto a = got.to_vector(), b = wanted.to_vector();
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

inline double norm(const Tensor& t) {
  double sum = 0;
  for (float v : t.to_vector()) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

// Every parameter's gradient equals the fixture's within `tolerance` of its norm, or of 1e-4 of the largest norm where
// it is nearly zero by cancellation (a key's bias under softmax).
inline void expect_gradients(Golden& golden, const Parameters& parameters, double tolerance) {
  double largest = 0;
  for (const Parameter& p : parameters)
    if (golden.has("grads." + p.name)) largest = std::max(largest, norm(golden.get("grads." + p.name)));
  int compared = 0;
  for (const Parameter& p : parameters) {
    if (!golden.has("grads." + p.name)) {
      EXPECT_FALSE(p.value.grad()) << p.name << " has a gradient, PyTorch's has none";
      continue;
    }
    const Tensor wanted = golden.get("grads." + p.name);
    if (norm(wanted) == 0 && !p.value.grad()) continue;  // takes no part, such as a time_conv for one frame
    ASSERT_TRUE(p.value.grad()) << p.name << " has no gradient";
    const double scale = std::max(norm(wanted), 1e-3 * largest);
    const double error = relative_error(p.value.grad(), wanted) * norm(wanted) / scale;
    EXPECT_LE(error, tolerance) << p.name;
    ++compared;
  }
  EXPECT_GT(compared, 10);
}

}  // namespace baton::test
