#include "engine/io/sampler_config.h"

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/log.h"

namespace baton {
namespace {

// The key under which a class has its shift; only another program's class is asked whether it has flow_shift.
template <typename Has>
const char* shift_key(const std::string& class_name, const Has& has_flow_shift) {
  if (class_name == "FlowMatchEulerDiscreteScheduler" || class_name == "FlowMatchHeunDiscreteScheduler") return "shift";
  const bool solver = class_name == "UniPCMultistepScheduler" || class_name == "DPMSolverMultistepScheduler";
  return solver || has_flow_shift() ? "flow_shift" : "shift";
}

// DPM-Solver's lambda_min_clipped is -Infinity.
std::string read_text(const Path& file) { return nulls_for_infinities(read_file(file, 1 << 20)); }

}  // namespace

SamplerConfig read_sampler_config(const Path& file, const std::string& class_in_index) {
  JsonReader r = JsonReader::text(read_text(file), file.string());
  SamplerConfig c;
  c.class_name = class_in_index.empty() ? r.required<std::string>("_class_name")
                                        : r.optional<std::string>("_class_name", class_in_index);
  if (!class_in_index.empty() && c.class_name != class_in_index)
    warn_once(fmt::format("{} counts, though model_index.json says {}", r.where(c.class_name), class_in_index));
  const bool unipc = c.class_name == "UniPCMultistepScheduler", dpm = c.class_name == "DPMSolverMultistepScheduler";
  const bool euler = c.class_name == "FlowMatchEulerDiscreteScheduler";
  const bool heun = c.class_name == "FlowMatchHeunDiscreteScheduler";
  const char* shift = shift_key(c.class_name, [&] { return r.has("flow_shift"); });
  c.flow_shift = r.optional<double>(shift, 1.0);
  check(c.flow_shift > 0 && c.flow_shift <= 1000, "{} is {}, expected above 0, at most 1000", r.where(shift),
        c.flow_shift);
  if (!unipc && !dpm && !euler && !heun) return c;  // another sampler may take its place, with this shift
  c.num_train_timesteps = r.optional<int>("num_train_timesteps", 1000);
  if (euler) {
    c.invert_sigmas = r.optional("invert_sigmas", false);
    c.stochastic_sampling = r.optional("stochastic_sampling", false);
    r.ignore("base_image_seq_len base_shift max_image_seq_len max_shift");  // of dynamic shifting
  }
  if ((euler || unipc) && r.has("shift_terminal")) c.shift_terminal = r.required<double>("shift_terminal");
  if (!heun) {
    c.use_karras_sigmas = r.optional("use_karras_sigmas", false);
    c.use_exponential_sigmas = r.optional("use_exponential_sigmas", false);
    c.use_beta_sigmas = r.optional("use_beta_sigmas", false);
    c.use_dynamic_shifting = r.optional("use_dynamic_shifting", false);
    r.ignore("time_shift_type");
  }
  if (unipc || dpm) {
    c.solver_order = r.optional<int>("solver_order", 2);
    c.solver_type = r.optional("solver_type", unipc ? "bh2" : "midpoint");
    c.lower_order_final = r.optional("lower_order_final", true);
    c.prediction_type = r.optional("prediction_type", "epsilon");  // diffusers' default, which the solvers refuse
    c.use_flow_sigmas = r.optional("use_flow_sigmas", false);
    c.final_sigmas_type = r.optional("final_sigmas_type", "zero");
    c.thresholding = r.optional("thresholding", false);
    // Of the other noise schedules that these classes serve, and of thresholding.
    r.ignore(
        "beta_end beta_schedule beta_start dynamic_thresholding_ratio rescale_betas_zero_snr sample_max_value "
        "steps_offset timestep_spacing trained_betas");
  }
  if (unipc) {
    c.disable_corrector = r.optional("disable_corrector", std::vector<int>{});
    c.predict_x0 = r.optional("predict_x0", true);
    r.expect("solver_p", {});
    r.ignore("sigma_max sigma_min");
  }
  if (dpm) {
    c.algorithm_type = r.optional("algorithm_type", "dpmsolver++");
    c.use_lu_lambdas = r.optional("use_lu_lambdas", false);
    r.ignore("euler_at_final lambda_min_clipped variance_type");
  }
  r.ignore("_class_name _diffusers_version");
  r.warn_of_unread();
  return c;
}

Json scheduler_json(const Path& file, const std::string& class_in_index, double flow_shift) {
  const std::string class_name = read_sampler_config(file, class_in_index).class_name;
  const Json there = parse_json(read_text(file), file.string());
  Json scheduler = Json::object();
  for (const auto& [key, value] : there.items())
    if (!value.is_null()) scheduler[key] = value;
  scheduler["_class_name"] = class_name;
  scheduler[shift_key(class_name, [&] { return scheduler.contains("flow_shift"); })] = flow_shift;
  return scheduler;
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
