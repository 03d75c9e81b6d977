#include "engine/train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/train/optimizer_parts.h"
#include "kernels/optimizer.h"

namespace baton {
namespace {

Parameters copies(const Parameters& parameters) {
  Parameters result;
  for (const Parameter& p : parameters) result.push_back({p.name, f32_copy(p.value), p.shard, p.logical});
  return result;
}

// The parameters that go to Muon, or those that do not.
Averaged choose(const Parameters& parameters, const Parameters& averages, const OptimizerConfig& config,
                bool matrices) {
  Averaged chosen;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if ((config.muon.lr > 0 && is_block_matrix(parameters[i])) != matrices) continue;
    chosen.parameters.push_back(parameters[i]);
    if (config.ema > 0) chosen.averages.push_back(averages[i].value);
  }
  return chosen;
}

}  // namespace

AdamW::AdamW(Averaged parameters, const AdamWConfig& config)
    : config_(config),
      targets_(std::move(parameters)),
      first_(zeros_like(targets_.parameters)),
      second_(zeros_like(targets_.parameters)) {}

void AdamW::step(const UpdateStep& step) {
  for (size_t i = 0; i < first_.size(); ++i) {
    const Tensor& parameter = targets_.parameters[i].value;
    const Tensor gradient = parameter.grad();
    if (!gradient) continue;
    kernels::cpu::adamw({.parameter = parameter.view(),
                         .gradient = gradient.view(),
                         .first_moment = first_[i].view(),
                         .second_moment = second_[i].view(),
                         .lr = step.lr,
                         .beta1 = config_.beta1,
                         .beta2 = config_.beta2,
                         .eps = config_.eps,
                         .weight_decay = config_.weight_decay,
                         .step = step.number,
                         .gradient_scale = step.gradient_scale,
                         .average = average_of(targets_, i),
                         .average_weight = step.average_weight});
  }
}

Parameters AdamW::state() const {
  Parameters state;
  name_state(state, "exp_avg", targets_.parameters, first_);
  name_state(state, "exp_avg_sq", targets_.parameters, second_);
  return state;
}

double gradient_norm(const Parameters& parameters) {
  double sum = 0;
  for (const Parameter& p : parameters)
    if (const Tensor gradient = p.value.grad()) sum += kernels::cpu::sum_of_squares(gradient.view());
  return std::sqrt(sum);
}

Optimizer::Optimizer(const Parameters& parameters, const OptimizerConfig& config, DType compute, Group& tp)
    : config_(config),
      parameters_(parameters),
      averages_(config.ema > 0 ? copies(parameters) : parameters),
      adamw_(choose(parameters, averages_, config, false), config.adamw),
      muon_(choose(parameters, averages_, config, true), config.muon, compute, tp),
      steps_(Tensor::zeros({1}, DType::i64)) {}

void Optimizer::step(double lr_factor, double norm) {
  if (!std::isfinite(norm)) fail_run("training: the norm of the gradients is not finite in update {}", steps() + 1);
  int64_t& number = *steps_.data<int64_t>();
  ++number;
  const auto n = static_cast<double>(number);
  UpdateStep step{.number = number,
                  .lr = config_.adamw.lr * lr_factor,
                  .gradient_scale = config_.clip > 0 ? std::min(1.0, config_.clip / (norm + 1e-6)) : 1.0,
                  .average_weight = static_cast<float>(1 - std::min(config_.ema, (1 + n) / (10 + n)))};
  adamw_.step(step);
  step.lr = config_.muon.lr * lr_factor;
  muon_.step(step);
  for (Parameter& p : parameters_) p.value.clear_grad();
}

bool Optimizer::keeps(std::string_view kind, const Parameter& parameter) const {
  return (config_.muon.lr > 0 && is_block_matrix(parameter)) == (kind == "momentum");
}

Parameters Optimizer::state() const {
  Parameters state = adamw_.state();
  for (Parameter& p : muon_.state()) state.push_back(std::move(p));
  state.push_back({"steps", steps_});
  return state;
}

}  // namespace baton
