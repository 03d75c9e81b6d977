#include "pipelines/draw_plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "engine/core/error.h"
#include "engine/diffusion/guidance.h"

namespace baton {
namespace {

void choose_size(GenerateConfig& config, DrawPlan& plan, const PipelineDirectory& model) {
  const PipelineDefaults& d = model.defaults();
  if (config.size.empty()) config.size = fmt::format("{}x{}", d.width.value_or(832), d.height.value_or(480));
  std::tie(plan.width, plan.height) = parse_size(config.size);
  int64_t most = most_pixels_a_side;
  for (const WanTransformerConfig& t : model.expert_configs())
    most = std::min(most, t.rope_max_seq_len * model.vae_config().scale_factor_spatial *
                              std::min(t.patch_size[1], t.patch_size[2]));
  check(plan.width <= most && plan.height <= most, "size {}: at most {} pixels a side", config.size, most);
  const int64_t multiple = model.size_multiple();
  const auto nearest = [&](int64_t side) {
    const int64_t below = side / multiple * multiple, above = below + multiple;
    return below == 0 || above - side < side - below ? above : below;
  };
  check(plan.width % multiple == 0 && plan.height % multiple == 0,
        "size {}: this model draws multiples of {} pixels; the nearest size is {}x{}", config.size, multiple,
        nearest(plan.width), nearest(plan.height));
}

void choose_sampler(GenerateConfig& config, DrawPlan& plan, const PipelineDirectory& model) {
  plan.sampler = model.sampler_config();
  const std::string name = !config.sampler.empty() ? config.sampler : model.defaults().sampler.value_or("");
  if (!name.empty()) plan.sampler = with_sampler(plan.sampler, name);
  config.sampler = sampler_name(plan.sampler);
  if (config.shift > 0)
    plan.sampler.flow_shift = config.shift;
  else if (model.defaults().shift)
    plan.sampler.flow_shift = *model.defaults().shift;
  config.shift = plan.sampler.flow_shift;
}

Schedule choose_schedule(GenerateConfig& config, const DrawPlan& plan, const PipelineDirectory& model) {
  if (!config.sigmas.empty()) return make_schedule(plan.sampler, config.sigmas);
  int64_t sum = 0;
  for (int64_t n : config.steps_per_expert) sum += n;
  check(config.steps_per_expert.empty() || config.steps == 0 || config.steps == sum,
        "generate: steps is {}, but steps_per_expert add up to {}", config.steps, sum);
  if (sum > 0) config.steps = sum;
  if (config.steps == 0) config.steps = model.defaults().steps.value_or(30);
  return make_schedule(plan.sampler, static_cast<int>(config.steps));
}

void choose_ranges(GenerateConfig& config, DrawPlan& plan, const PipelineDirectory& model, const Schedule& schedule) {
  plan.ranges = model.ranges();
  if (!config.boundaries.empty()) {
    check(static_cast<int>(config.boundaries.size()) + 1 == model.experts(),
          "generate: {} boundaries for {} experts, expected {}", config.boundaries.size(), model.experts(),
          model.experts() - 1);
    plan.ranges = ExpertRanges(config.boundaries);
  }
  if (!config.steps_per_expert.empty()) {
    check(static_cast<int>(config.steps_per_expert.size()) == model.experts(),
          "generate: steps_per_expert has {} values, the model has {} experts", config.steps_per_expert.size(),
          model.experts());
    plan.ranges = ExpertRanges::for_steps(config.steps_per_expert, schedule.timesteps);
  }
}

std::string megabytes(int64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace

std::pair<int64_t, int64_t> parse_size(const std::string& text) {
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, width);
  const bool separated = first.ec == std::errc() && first.ptr != end && (*first.ptr == 'x' || *first.ptr == 'X');
  const auto second = separated ? std::from_chars(first.ptr + 1, end, height) : first;
  check(separated && second.ec == std::errc() && second.ptr == end && width > 0 && height > 0,
        "size '{}', expected WIDTHxHEIGHT in pixels, for example 128x128", text);
  return {width, height};
}

DrawPlan make_draw_plan(GenerateConfig& config, const PipelineDirectory& model) {
  DrawPlan plan;
  choose_size(config, plan, model);
  choose_sampler(config, plan, model);
  const Schedule schedule = choose_schedule(config, plan, model);
  choose_ranges(config, plan, model, schedule);
  if (config.guidance.empty()) config.guidance = model.defaults().guidance;
  if (config.guidance.empty()) config.guidance = {5.0};
  const double strength = config.init_image.empty() ? 1 : config.strength;
  if (strength > 0) plan.steps = step_table(schedule, plan.ranges, config.guidance, strength);
  plan.rng = config.rng;
  plan.tile = config.tile;
  return plan;
}

std::string describe(const DrawPlan& plan, const PipelineDirectory& model, int64_t batch, DType compute) {
  if (plan.steps.empty()) return "strength 0: no step; the picture is what the autoencoder gives back\n";
  std::string text = " step        t    sigma  expert  guidance\n";
  std::set<int> used;
  std::vector<int> per_expert(model.experts(), 0);
  for (const Step& step : plan.steps) {
    text += fmt::format("{:5} {:8.4f} {:8.4f} {:7} {:9}\n", step.index, step.t, step.sigma, step.expert, step.guidance);
    used.insert(step.expert);
    ++per_expert[step.expert];
  }
  text += fmt::format("boundaries {} -> steps per expert {}\n", plan.ranges.boundaries(), per_expert);
  if (std::ssize(used) < model.experts())
    text += fmt::format("experts that no step uses are not read: {} of {} are\n", used.size(), model.experts());
  int64_t weights = 0, largest = 0;
  for (int expert : used) {
    weights += model.expert_bytes(expert);
    largest = std::max(largest, model.expert_bytes(expert));
  }
  const WanTransformerConfig& t = model.expert_configs()[*used.begin()];
  const int64_t tokens = plan.width * plan.height / (model.size_multiple() * model.size_multiple()),
                halves = guided(plan.steps[0].guidance) ? 2 : 1;
  const int64_t activations =
      batch * halves * tokens * (t.inner_dim() * (4 * 4 + 6 * size_of(compute)) + t.ffn_dim * size_of(compute));
  text += fmt::format(
      "memory: weights of the experts in use {} (largest {}), activations of a step about {} ({} pictures x {} "
      "tokens{})\n",
      megabytes(weights), megabytes(largest), megabytes(activations), batch, tokens,
      halves == 2 ? ", both halves of guidance" : "");
  return text;
}

}  // namespace baton
