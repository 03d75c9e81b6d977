#include "engine/io/sampler_config.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/core/error.h"

namespace baton {

namespace {

// diffusers writes DPM-Solver's lambda_min_clipped as -Infinity, which is no JSON.
std::string without_infinity(std::string text) {
  constexpr std::string_view infinity = ": -Infinity";
  for (size_t at; (at = text.find(infinity)) != text.npos;) text.replace(at, infinity.size(), ": null");
  return text;
}

}  // namespace

SamplerConfig read_sampler_config(const Path& file) {
  JsonReader r = JsonReader::text(without_infinity(read_file(file, 1 << 20)), file.string());
  SamplerConfig c;
  c.class_name = r.required<std::string>("_class_name");
  const bool flow_match = c.class_name.starts_with("FlowMatch");
  c.flow_shift = r.optional<double>(flow_match ? "shift" : "flow_shift", 1.0);
  check(c.flow_shift > 0 && c.flow_shift <= 1000, "{} is {}, expected above 0, at most 1000",
        r.where(flow_match ? "shift" : "flow_shift"), c.flow_shift);
  c.num_train_timesteps = r.optional<int>("num_train_timesteps", 1000);
  c.use_karras_sigmas = r.optional("use_karras_sigmas", false);
  c.use_exponential_sigmas = r.optional("use_exponential_sigmas", false);
  c.use_beta_sigmas = r.optional("use_beta_sigmas", false);
  c.use_dynamic_shifting = r.optional("use_dynamic_shifting", false);
  c.invert_sigmas = r.optional("invert_sigmas", false);
  c.stochastic_sampling = r.optional("stochastic_sampling", false);
  if (r.has("shift_terminal")) c.shift_terminal = r.required<double>("shift_terminal");
  if (!flow_match) {
    c.solver_order = r.optional<int>("solver_order", 2);
    c.solver_type = r.optional("solver_type", c.class_name == "UniPCMultistepScheduler" ? "bh2" : "midpoint");
    c.lower_order_final = r.optional("lower_order_final", true);
    c.disable_corrector = r.optional("disable_corrector", std::vector<int>{});
    c.prediction_type = r.optional("prediction_type", "epsilon");  // diffusers' default, which the solvers refuse
    c.use_flow_sigmas = r.optional("use_flow_sigmas", false);
    c.predict_x0 = r.optional("predict_x0", true);
    c.algorithm_type = r.optional("algorithm_type", "dpmsolver++");
    c.final_sigmas_type = r.optional("final_sigmas_type", "zero");
    c.thresholding = r.optional("thresholding", false);
    c.use_lu_lambdas = r.optional("use_lu_lambdas", false);
  }
  // Settings of the other noise schedules that these classes serve, and of dynamic shifting and thresholding where
  // those are off.
  r.ignore({"_diffusers_version",
            "base_image_seq_len",
            "base_shift",
            "beta_end",
            "beta_schedule",
            "beta_start",
            "dynamic_thresholding_ratio",
            "euler_at_final",
            "lambda_min_clipped",
            "max_image_seq_len",
            "max_shift",
            "rescale_betas_zero_snr",
            "sample_max_value",
            "shift_terminal",
            "sigma_max",
            "sigma_min",
            "solver_p",
            "steps_offset",
            "time_shift_type",
            "timestep_spacing",
            "trained_betas",
            "variance_type"});
  r.finish();
  return c;
}

Json unipc_json(double flow_shift) {
  return {{"_class_name", "UniPCMultistepScheduler"},
          {"_diffusers_version", "0.42.1"},
          {"num_train_timesteps", 1000},
          {"prediction_type", "flow_prediction"},
          {"use_flow_sigmas", true},
          {"flow_shift", flow_shift},
          {"solver_order", 2},
          {"solver_type", "bh2"},
          {"lower_order_final", true},
          {"predict_x0", true},
          {"final_sigmas_type", "zero"}};
}

}  // namespace baton
