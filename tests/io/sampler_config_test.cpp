#include "engine/io/sampler_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/io/scratch.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

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

TEST(SamplerConfigTest, GoesToAnotherModelWithAnotherShift) {
  const Path file = written(R"({"_class_name": "DPMSolverMultistepScheduler", "solver_type": "heun", "flow_shift": 3.0,
                               "lambda_min_clipped": -Infinity})");
  EXPECT_EQ(scheduler_json(file, "", 5),
            (Json{{"_class_name", "DPMSolverMultistepScheduler"}, {"solver_type", "heun"}, {"flow_shift", 5.0}}));
  const Json euler = scheduler_json(written(R"({"shift": 3.0})"), "FlowMatchEulerDiscreteScheduler", 2);
  EXPECT_EQ(euler, (Json{{"_class_name", "FlowMatchEulerDiscreteScheduler"}, {"shift", 2.0}}));
}

// Euler.from_config(unipc.config, shift=5) and the other way round, as diffusers 0.42.1 saves them: the keys of the
// former class stay, with values that would be refused there.
TEST(SamplerConfigTest, KeysOfAnotherClassDoNotCount) {
  std::string warned = test::warnings_of([] {
    const SamplerConfig c =
        read_sampler_config(written(R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 5,
        "flow_shift": 3, "disable_corrector": [], "solver_order": 3, "prediction_type": "epsilon", "thresholding": true,
        "use_dynamic_shifting": false, "base_shift": 0.5})"));
    EXPECT_EQ(sampler_name(c), "euler");
    EXPECT_EQ(c.flow_shift, 5);
    EXPECT_NE(make_sampler(c), nullptr);
  });
  EXPECT_THAT(warned, HasSubstr("4 unknown keys are not used"));
  EXPECT_THAT(warned, HasSubstr("flow_shift = 3"));
  warned = test::warnings_of([] {
    const SamplerConfig c = read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 4,
        "prediction_type": "flow_prediction", "use_flow_sigmas": true, "shift": 7, "invert_sigmas": true,
        "stochastic_sampling": true, "base_image_seq_len": 256})"));
    EXPECT_EQ(c.flow_shift, 4);
    EXPECT_NE(make_sampler(c), nullptr);
  });
  EXPECT_THAT(warned, HasSubstr("shift = 7"));
}

TEST(SamplerConfigTest, WhatWouldChangeThePictureIsRefusedByName) {
  const auto refusal = [](const std::string& keys) {
    return test::error_of([&] { make_sampler(read_sampler_config(written("{" + keys + "}"))); });
  };
  const std::string euler = R"("_class_name": "FlowMatchEulerDiscreteScheduler", )";
  const std::string unipc = R"("_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction",)"
                            R"("use_flow_sigmas": true, )";
  EXPECT_THAT(refusal(euler + R"("use_dynamic_shifting": true)"), HasSubstr("use_dynamic_shifting"));
  EXPECT_THAT(refusal(euler + R"("invert_sigmas": true)"), HasSubstr("invert_sigmas"));
  EXPECT_THAT(refusal(unipc + R"("solver_p": {"a": 1})"), HasSubstr("solver_p"));
  EXPECT_THAT(refusal(unipc + R"("shift_terminal": 0.1)"), HasSubstr("shift_terminal"));
  EXPECT_THAT(refusal(R"("_class_name": "FlowMatchLCMScheduler", "scale_factors": [1], "shift": 3)"),
              HasSubstr("scheduler: 'FlowMatchLCMScheduler' is unknown; there are UniPCMultistepScheduler"));
}

// --sampler draws with a folder whose scheduler is not known here, at its shift.
TEST(SamplerConfigTest, AnotherSamplerTakesThePlaceOfAnUnknownOne) {
  const SamplerConfig c = read_sampler_config(written(R"({"_class_name": "EulerDiscreteScheduler", "flow_shift": 3})"));
  EXPECT_EQ(with_sampler(c, "euler").flow_shift, 3);
  EXPECT_EQ(read_sampler_config(written(R"({"_class_name": "FlowMatchLCMScheduler", "shift": 8})")).flow_shift, 8);
  EXPECT_EQ(read_sampler_config(written(R"({"flow_shift": 2})"), "UniPCMultistepScheduler").flow_shift, 2);
}

TEST(SamplerConfigTest, RefusesUnknownClassesAndShifts) {
  EXPECT_THROW(read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 0})")),
               InputError);
  EXPECT_THROW(make_sampler(read_sampler_config(written(R"({"_class_name": "DDIMScheduler"})"))), InputError);
  // diffusers' default for an absent prediction_type is epsilon, which is not flow matching
  EXPECT_THROW(make_sampler(read_sampler_config(written(R"({"_class_name": "UniPCMultistepScheduler"})"))), InputError);
}

}  // namespace
}  // namespace baton
