#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/io/tensor_store.h"
#include "pipelines/generate.h"
#include "tests/pipelines/tiny_pipeline.h"

namespace baton {

class GenerateTest : public testing::Test {
 protected:
  void SetUp() override {
    out_ = Path(testing::TempDir()) / "generate_out";
    std::filesystem::remove_all(out_);
    std::filesystem::create_directories(out_);
  }
  GenerateConfig config(const Path& model, const std::string& name) const {
    GenerateConfig c;
    c.prompt = "a red panda";
    c.model = model.string();
    c.out = (out_ / name).string();
    c.steps = 4;
    c.seed = 0;
    return c;
  }
  int run(const GenerateConfig& c, const ParallelConfig& parallel = {}) const {
    return run_generate(c, Runtime{DType::f32, 1, ProgressMode::none, stop_, parallel});
  }
  std::vector<float> latents(GenerateConfig c, const ParallelConfig& parallel = {}) const {
    c.latents_out = (out_ / "latents.safetensors").string();
    std::filesystem::remove(c.latents_out);
    EXPECT_EQ(run(c, parallel), exit_done);
    return TensorStore(c.latents_out).get("latents").to_vector();
  }

  Path out_;
  std::atomic<bool> stop_{false};
};

inline float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace baton
