#include "engine/diffusion/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "engine/core/error.h"
#include "engine/core/require.h"

// What a sampler must do whatever the reference: converge at its order, hand over between experts, stop at rubbish,
// refuse what it cannot do. Agreement with diffusers is in sampler_golden_test.cpp.
namespace baton {
namespace {

constexpr double deviation = 0.5;  // of the images, which are normally distributed

// The exact velocity E[noise - image | x] for such images, under which x(sigma) is proportional to spread(sigma).
double spread(double sigma) { return std::hypot((1 - sigma) * deviation, sigma); }

Tensor exact_denoiser(const Tensor& latents, const Step& step) {
  const double sigma = step.sigma, factor = (sigma - (1 - sigma) * deviation * deviation) / std::pow(spread(sigma), 2);
  std::vector<float> values = latents.to_vector();
  for (float& x : values) x *= static_cast<float>(factor);
  return Tensor::from(values, latents.shape());
}

SamplerConfig config_of(const std::string& name, int order = 2, double shift = 3) {
  SamplerConfig config = with_sampler({.flow_shift = shift}, name);
  config.solver_order = order;
  return config;
}

std::vector<Step> table(const SamplerConfig& config, int steps, const ExpertRanges& experts = {}, double strength = 1) {
  return step_table(make_schedule(config, steps), experts, std::vector<double>{1}, strength);
}

// The error at sigma 0.1 after `steps` even steps from 0.9, where the solvers run at full order: the first steps of a
// run (a short history) and the last (to a log-SNR of infinity) are of low order in any case.
double error_after(const SamplerConfig& config, int steps) {
  std::vector<double> sigmas;
  for (int i = 0; i <= steps + 3; ++i) sigmas.push_back(i <= steps ? 0.9 - 0.8 * i / steps : 0.1 * (steps + 4 - i) / 4);
  const std::vector<Step> rows = step_table(make_schedule(config, sigmas), ExpertRanges(), std::vector<double>{1});
  const auto sampler = make_sampler(config);
  Tensor latents = Tensor::full({1}, 1);
  for (int i = 0; i < steps; ++i) latents = sampler->advance(latents, rows, i, exact_denoiser);
  return std::abs(latents.item() - spread(rows[steps].sigma) / spread(rows[0].sigma));
}

struct Convergence {
  std::string sampler;
  int order;          // as configured; UniPC's corrector adds one
  double least_gain;  // of the error when the steps double; 2, 4 and 8 in theory
};

TEST(Sampler, ConvergesAtItsOrder) {
  for (const Convergence& c : {Convergence{"euler", 1, 1.9},
                               {"heun", 2, 3.8},
                               {"dpm++2m", 1, 1.9},
                               {"dpm++2m", 2, 3.6},
                               {"unipc", 1, 3.6},
                               {"unipc", 2, 6.5},
                               {"unipc", 3, 6.5}}) {
    const SamplerConfig config = config_of(c.sampler, c.order, 1);
    const double coarse = error_after(config, 16), fine = error_after(config, 32);
    EXPECT_GT(coarse / fine, c.least_gain) << c.sampler << " order " << c.order << ": " << coarse << " -> " << fine;
  }
}

TEST(Sampler, OneStepGoesStraightToThePredictedImage) {
  for (const std::string& name : sampler_names()) {
    const SamplerConfig config = config_of(name);
    const std::vector<Step> rows = table(config, 1);
    const Tensor result = sample(config, rows, Tensor::full({2}, 0.5f),
                                 [](const Tensor& x, const Step&) { return Tensor::full(x.shape(), 2); });
    EXPECT_NEAR(result.to_vector()[0], 0.5 - 2 * rows[0].sigma, 1e-6) << name;
  }
}

// The history of multistep solvers is kept: two experts that agree draw what one of them would.
TEST(Sampler, HandOverKeepsTheHistory) {
  for (const std::string& name : sampler_names()) {
    const SamplerConfig config = config_of(name);
    const std::vector<Step> one = table(config, 10), two = table(config, 10, ExpertRanges({0.8}));
    std::vector<int> asked;
    const Tensor expected = sample(config, one, Tensor::full({3}, 1), exact_denoiser);
    const Tensor result = sample(config, two, Tensor::full({3}, 1), [&](const Tensor& x, const Step& step) {
      EXPECT_EQ(step.expert, step.t >= 0.8 ? 0 : 1);
      asked.push_back(step.expert);
      return exact_denoiser(x, step);
    });
    EXPECT_EQ(result.to_vector(), expected.to_vector()) << name;
    EXPECT_TRUE(std::is_sorted(asked.begin(), asked.end())) << name;
    EXPECT_EQ(asked.size(), name == "heun" ? 19u : 10u) << name;
  }
}

TEST(Sampler, ImageToImageStartsInTheMiddle) {
  for (const std::string& name : sampler_names()) {
    const SamplerConfig config = config_of(name);
    const std::vector<Step> rows = table(config, 40, {}, 0.5);
    const auto start = static_cast<float>(spread(rows[0].sigma));
    EXPECT_NEAR(sample(config, rows, Tensor::full({1}, start), exact_denoiser).item(), deviation, 0.04) << name;
  }
}

// Every item of a batch is sampled as if alone.
TEST(Sampler, ItemsDoNotSeeEachOther) {
  for (const std::string& name : sampler_names()) {
    const SamplerConfig config = config_of(name);
    const std::vector<Step> rows = table(config, 6);
    const std::vector<float> batch =
        sample(config, rows, Tensor::from(std::vector<float>{1, -0.3f, 7}, {3}), exact_denoiser).to_vector();
    for (int i = 0; i < 3; ++i) {
      const float start[] = {1, -0.3f, 7};
      EXPECT_EQ(sample(config, rows, Tensor::full({1}, start[i]), exact_denoiser).item(), batch[i]) << name;
    }
  }
}

TEST(Sampler, ReportsEveryStep) {
  const SamplerConfig config = config_of("heun");
  std::vector<int> seen;
  const Tensor result = sample(config, table(config, 4), Tensor::full({1}, 1), exact_denoiser,
                               [&](const Step& step, const Tensor&) { seen.push_back(step.index); });
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Sampler, StopsAtTheFirstValueThatIsNotFinite) {
  const SamplerConfig config = config_of("unipc");
  const std::vector<Step> rows = table(config, 5, ExpertRanges({0.8}));
  try {
    sample(config, rows, Tensor::full({4}, 1), [](const Tensor& x, const Step& step) {
      Tensor velocity = Tensor::full(x.shape(), 1);
      if (step.index == 3) velocity.data<float>()[2] = NAN;
      return velocity;
    });
    FAIL() << "NaN was accepted";
  } catch (const RunError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("step 3"), std::string::npos) << message;
    EXPECT_NE(message.find("expert 1"), std::string::npos) << message;
    EXPECT_NE(message.find("element 2"), std::string::npos) << message;
  }
}

TEST(Sampler, RefusesADenoiserOfAnotherShape) {
  const SamplerConfig config = config_of("euler");
  EXPECT_THROW(sample(config, table(config, 2), Tensor::full({4}, 1),
                      [](const Tensor&, const Step&) { return Tensor::full({3}, 1); }),
               LogicError);
}

TEST(SamplerConfig, RefusesUnsupportedSettingsByName) {
  struct Case {
    std::string sampler, key;
    std::function<void(SamplerConfig&)> set;
  };
  const Case cases[] = {
      {"unipc", "class", [](SamplerConfig& c) { c.class_name = "DDIMScheduler"; }},
      {"unipc", "num_train_timesteps", [](SamplerConfig& c) { c.num_train_timesteps = 500; }},
      {"unipc", "prediction_type", [](SamplerConfig& c) { c.prediction_type = "epsilon"; }},
      {"unipc", "use_flow_sigmas", [](SamplerConfig& c) { c.use_flow_sigmas = false; }},
      {"unipc", "predict_x0", [](SamplerConfig& c) { c.predict_x0 = false; }},
      {"unipc", "solver_order", [](SamplerConfig& c) { c.solver_order = 4; }},
      {"unipc", "solver_order", [](SamplerConfig& c) { c.solver_order = 0; }},
      {"unipc", "solver_type", [](SamplerConfig& c) { c.solver_type = "bh3"; }},
      {"unipc", "lower_order_final", [](SamplerConfig& c) { c.lower_order_final = false; }},
      {"unipc", "final_sigmas_type", [](SamplerConfig& c) { c.final_sigmas_type = "sigma_min"; }},
      {"unipc", "thresholding", [](SamplerConfig& c) { c.thresholding = true; }},
      {"unipc", "use_karras_sigmas", [](SamplerConfig& c) { c.use_karras_sigmas = true; }},
      {"unipc", "use_exponential_sigmas", [](SamplerConfig& c) { c.use_exponential_sigmas = true; }},
      {"unipc", "use_beta_sigmas", [](SamplerConfig& c) { c.use_beta_sigmas = true; }},
      {"dpm++2m", "use_lu_lambdas", [](SamplerConfig& c) { c.use_lu_lambdas = true; }},
      {"dpm++2m", "solver_order", [](SamplerConfig& c) { c.solver_order = 3; }},
      {"dpm++2m", "solver_type", [](SamplerConfig& c) { c.solver_type = "bh2"; }},
      {"dpm++2m", "algorithm_type", [](SamplerConfig& c) { c.algorithm_type = "sde-dpmsolver++"; }},
      {"euler", "use_dynamic_shifting", [](SamplerConfig& c) { c.use_dynamic_shifting = true; }},
      {"euler", "shift_terminal", [](SamplerConfig& c) { c.shift_terminal = 0.02; }},
      {"euler", "invert_sigmas", [](SamplerConfig& c) { c.invert_sigmas = true; }},
      {"euler", "stochastic_sampling", [](SamplerConfig& c) { c.stochastic_sampling = true; }},
  };
  for (const Case& c : cases) {
    SamplerConfig config = config_of(c.sampler);
    EXPECT_NO_THROW(make_sampler(config));
    c.set(config);
    try {
      make_sampler(config);
      FAIL() << c.key << " was accepted";
    } catch (const InputError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(c.key == "class" ? "DDIMScheduler" : c.key), std::string::npos) << message;
    }
  }
}

TEST(SamplerConfig, AnotherSamplerKeepsTheShiftOnly) {
  SamplerConfig unipc{.flow_shift = 5, .solver_order = 3, .solver_type = "bh1"};
  EXPECT_EQ(sampler_name(unipc), "unipc");
  EXPECT_EQ(with_sampler(unipc, "unipc").solver_order, 3);
  const SamplerConfig dpm = with_sampler(unipc, "dpm++2m");
  EXPECT_EQ(sampler_name(dpm), "dpm++2m");
  EXPECT_EQ(dpm.flow_shift, 5);
  EXPECT_EQ(dpm.solver_order, 2);
  EXPECT_EQ(dpm.solver_type, "midpoint");
  EXPECT_EQ(sampler_names(), (std::vector<std::string>{"unipc", "euler", "heun", "dpm++2m"}));
  EXPECT_THROW(with_sampler(unipc, "ddim"), InputError);
}

}  // namespace
}  // namespace baton
