#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/diffusion/sampler.h"
#include "engine/io/safetensors.h"
#include "tests/test_dir.h"

// Noise levels, timesteps and whole trajectories against diffusers' schedulers (tests/golden/samplers, made by
// tools/golden/samplers.py).
namespace baton {
namespace {

using nlohmann::json;

const json& description() {
  static const json document = [] {
    std::ifstream file(test_dir() / "golden/samplers.json");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // Python's way to write an infinity is not JSON.
    for (size_t at; (at = text.find("-Infinity")) != std::string::npos;) text.replace(at, 9, "null");
    return json::parse(text);
  }();
  return document.at("cases");
}

const SafetensorsFile& golden() {
  static const SafetensorsFile file(test_dir() / "golden/samplers.safetensors");
  return file;
}

SamplerConfig config_of(const json& test) {
  const json& keys = test.at("config");
  SamplerConfig config{.class_name = test.at("class"),
                       .flow_shift = keys.value("flow_shift", keys.value("shift", 1.0))};
  config.solver_order = keys.value("solver_order", config.solver_order);
  config.solver_type = keys.value("solver_type", config.solver_type);
  config.lower_order_final = keys.value("lower_order_final", config.lower_order_final);
  config.disable_corrector = keys.value("disable_corrector", config.disable_corrector);
  config.final_sigmas_type = keys.value("final_sigmas_type", config.final_sigmas_type);
  return config;
}

Schedule schedule_of(const json& test) {
  const SamplerConfig config = config_of(test);
  if (test.at("custom_sigmas").is_null()) return make_schedule(config, test.at("steps").get<int>());
  return make_schedule(config, test.at("custom_sigmas").get<std::vector<double>>());
}

// flow(x, timestep) = 0.6 x + 0.5 sin(0.003 timestep + x)
Tensor toy_denoiser(const Tensor& latents, const Step& step) {
  std::vector<float> values = latents.to_vector();
  for (float& x : values) x = 0.6f * x + 0.5f * std::sin(0.003f * step.timestep + x);
  return Tensor::from(values, latents.shape());
}

float largest_difference(const float* a, const float* b, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// Runs that diffusers itself ends in NaN (final_sigmas_type sigma_min) and third-order DPM-Solver are refused.
bool supported(const json& test) {
  return test.at("config").value("final_sigmas_type", "zero") == "zero" &&
         !(test.at("class") == "DPMSolverMultistepScheduler" && test.at("config").at("solver_order") == 3);
}

std::vector<std::string> names(bool of_supported) {
  std::vector<std::string> result;
  for (const auto& [name, test] : description().items())
    if (supported(test) == of_supported) result.push_back(name);
  return result;
}

TEST(SamplerRefusal, CasesThatAreNotSupported) {
  const std::vector<std::string> refused = names(false);
  EXPECT_EQ(refused.size(), 8u);
  for (const std::string& name : refused)
    EXPECT_THROW(make_sampler(config_of(description().at(name))), InputError) << name;
}

class SamplerGolden : public testing::TestWithParam<std::string> {
 protected:
  const json& test() const { return description().at(GetParam()); }
  bool heun() const { return test().at("class") == "FlowMatchHeunDiscreteScheduler"; }
};

// Bit for bit: the expert of a step hangs on it.
TEST_P(SamplerGolden, Schedule) {
  const Schedule schedule = schedule_of(test());
  std::vector<float> sigmas = golden().tensor(GetParam() + ".sigmas").to_vector();
  std::vector<float> timesteps = golden().tensor(GetParam() + ".timesteps").to_vector();
  if (heun()) {  // diffusers lists both calls of each step
    for (size_t i = 1; i < timesteps.size(); ++i)
      timesteps.erase(timesteps.begin() + i), sigmas.erase(sigmas.begin() + i);
  }
  EXPECT_EQ(schedule.sigmas, sigmas);
  EXPECT_EQ(schedule.timesteps, timesteps);
}

TEST_P(SamplerGolden, Trajectory) {
  const Tensor reference = golden().tensor(GetParam() + ".trajectory");
  const Tensor initial = golden().tensor("initial");
  const int64_t size = initial.numel(), points = reference.dim(0);
  const float* expected = reference.data<float>();
  const std::vector<Step> steps = step_table(schedule_of(test()), ExpertRanges(), std::vector<double>{1});

  int64_t point = 0, compared = 0;
  float worst = 0;
  sample(config_of(test()), steps, initial, toy_denoiser, [&](const Step& step, const Tensor& latents) {
    point += heun() && step.sigma_next > 0 ? 2 : 1;
    for (float value : latents.to_vector()) ASSERT_TRUE(std::isfinite(value));
    if (point >= points) return;  // where diffusers divides infinity by infinity (bh1's last step)
    worst = std::max(worst, largest_difference(latents.data<float>(), expected + point * size, size));
    ++compared;
  });
  EXPECT_GE(compared, test().at("steps").get<int64_t>() - 1);
  EXPECT_LT(worst, 1e-5f);
}

INSTANTIATE_TEST_SUITE_P(Diffusers, SamplerGolden, testing::ValuesIn(names(true)),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace baton
