#include "engine/io/sampler_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace baton {
namespace {

Path written(const std::string& text) {
  const Path path = Path(testing::TempDir()) / "scheduler_config.json";
  write_file(path, text);
  return path;
}

TEST(SamplerConfigTest, ReadsWhatDiffusersWritesForDpmSolver) {
  const SamplerConfig c = read_sampler_config(written(R"({
  "_class_name": "DPMSolverMultistepScheduler",
  "_diffusers_version": "0.42.1",
  "algorithm_type": "dpmsolver++",
  "flow_shift": 3.0,
  "lambda_min_clipped": -Infinity,
  "prediction_type": "flow_prediction",
  "solver_order": 2,
  "solver_type": "midpoint",
  "use_flow_sigmas": true,
  "variance_type": null
})"));
  EXPECT_EQ(sampler_name(c), "dpm++2m");
  EXPECT_EQ(c.flow_shift, 3);
  EXPECT_NE(make_sampler(c), nullptr);
}

TEST(SamplerConfigTest, WhatWeWriteReadsBack) {
  const SamplerConfig c = read_sampler_config(written(unipc_json(2.5).dump()));
  EXPECT_EQ(sampler_name(c), "unipc");
  EXPECT_EQ(c.flow_shift, 2.5);
  EXPECT_NE(make_sampler(c), nullptr);
}

TEST(SamplerConfigTest, RefusesUnknownKeysClassesAndShifts) {
  EXPECT_THROW(read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler", "flow_shfit": 3})")),
               InputError);
  EXPECT_THROW(read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 0})")),
               InputError);
  EXPECT_THROW(make_sampler(read_sampler_config(written(R"({"_class_name": "DDIMScheduler"})"))), InputError);
  // diffusers' default for an absent prediction_type is epsilon, which is not flow matching
  EXPECT_THROW(make_sampler(read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler"})"))), InputError);
}

}  // namespace
}  // namespace baton
