#include "pipelines/plan_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "engine/plan/advice.h"
#include "engine/plan/schedule.h"

namespace baton {
namespace {

constexpr double gib = 1 << 30;
constexpr const char* recompute_words[] = {"none", "selective", "full"};

std::string word(const Execution& e) {
  const char* word = recompute_words[static_cast<int>(e.recompute)];
  return e.recompute_every == 1 ? word : fmt::format("{} 1/{}", word, e.recompute_every);
}

std::string memory_table(const Plan& plan, const Machine& machine) {
  const MemoryPlan& m = plan.memory;
  std::string text = "memory of the fullest rank, GiB\n";
  const auto line = [&](const char* what, double bytes) {
    if (bytes > 0) text += fmt::format("  {:<34}{:>10.3f}\n", what, bytes / gib);
  };
  line("weights", m.weights);
  line("gradients", m.gradients);
  line("optimizer", m.optimizer);
  line("training state of embeddings", m.state_outside);
  line("copies of weights for products", m.compute_weights);
  line("activations in the blocks", m.activations);
  line("activations outside of them", m.activations_outside);
  line("working memory", m.working);
  line("messages", m.buffers);
  text += fmt::format("  {:<34}{:>10.3f}  of {:.3f} that can be used\n", "all", m.peak() / gib,
                      usable_memory * machine.memory / gib);
  text += fmt::format("  activations in the blocks with recomputation none, selective, full: {:.3f}, {:.3f}, {:.3f}\n",
                      m.activations_if[0] / gib, m.activations_if[1] / gib, m.activations_if[2] / gib);
  return text;
}

std::string time_table(const Plan& plan) {
  const TimePlan& t = plan.time;
  std::string text = "time of a step, seconds\n";
  const auto line = [&](std::string_view what, double seconds) {
    if (seconds > 0) text += fmt::format("  {:<34}{:>10.4f}  {:>4.1f} %\n", what, seconds, 100 * seconds / t.step());
  };
  line("compute", t.compute);
  for (int axis = 0; axis < axis_count; ++axis)
    line(fmt::format("communication over {}", name(static_cast<Axis>(axis))), t.communication[axis]);
  line("optimizer", t.optimizer);
  line("waits for the host", t.host);
  line("pipeline waits", t.idle);
  line("all", t.step());
  return text + fmt::format("  {:.4g} FLOP, {:.4g} with recomputation; MFU {:.1f} %, HFU {:.1f} %\n", t.model_flops,
                            t.hardware_flops, 100 * plan.mfu(), 100 * plan.hfu());
}

}  // namespace

Json to_json(const Plan& plan, const Machine& machine) {
  const MemoryPlan& m = plan.memory;
  const TimePlan& t = plan.time;
  Json communication = Json::object();
  for (int axis = 0; axis < axis_count; ++axis)
    if (plan.execution.mesh.sizes[axis] > 1 || t.communication[axis] > 0)
      communication[std::string(name(static_cast<Axis>(axis)))] = t.communication[axis];
  return {{"machine", machine.name},
          {"ranks", plan.ranks},
          {"mesh", plan.mesh},
          {"micro_batch", plan.execution.micro_batch},
          {"micro_batches", plan.execution.micro_batches},
          {"interleave", plan.execution.interleave},
          {"recompute", recompute_words[static_cast<int>(plan.execution.recompute)]},
          {"recompute_every", plan.execution.recompute_every},
          {"sequence_parallel", plan.execution.sequence_parallel},
          {"zero", plan.execution.zero},
          {"weight_bytes", m.weights},
          {"gradient_bytes", m.gradients},
          {"optimizer_bytes", m.optimizer},
          {"state_bytes", m.state()},
          {"state_bytes_outside_layers", m.state_outside},
          {"compute_weight_bytes", m.compute_weights},
          {"activation_bytes", m.activations},
          {"activation_bytes_outside_layers", m.activations_outside},
          {"activation_bytes_if",
           {{"none", m.activations_if[0]}, {"selective", m.activations_if[1]}, {"full", m.activations_if[2]}}},
          {"working_bytes", m.working},
          {"buffer_bytes", m.buffers},
          {"peak_bytes", m.peak()},
          {"fits", plan.fits(machine)},
          {"step_seconds", t.step()},
          {"compute_seconds", t.compute},
          {"communication_seconds", communication},
          {"optimizer_seconds", t.optimizer},
          {"host_seconds", t.host},
          {"idle_seconds", t.idle},
          {"bubble", bubble(plan.execution)},
          {"model_flops", t.model_flops},
          {"hardware_flops", t.hardware_flops},
          {"mfu", plan.mfu()},
          {"hfu", plan.hfu()},
          {"advice", advice(plan, machine)}};
}

std::string describe(const Plan& plan, const Machine& machine) {
  const Execution& e = plan.execution;
  return fmt::format("{} ranks of {}, mesh {}: {} micro-batches of {}, recomputation {}, ZeRO {}{}\n\n{}\n{}\n{}\n",
                     plan.ranks, machine.name, plan.mesh, e.micro_batches, e.micro_batch, word(e), e.zero,
                     e.sequence_parallel ? ", sequence parallel" : "", memory_table(plan, machine), time_table(plan),
                     fmt::join(advice(plan, machine), "\n"));
}

std::string describe(const std::vector<Plan>& plans, const Machine& machine) {
  std::string text = fmt::format("{:<28}{:>6}{:>7}{:>11}{:>6}{:>4}{:>10}{:>11}{:>8}{:>8}\n", "mesh", "micro", "pieces",
                                 "recompute", "ZeRO", "SP", "GiB", "s / step", "MFU %", "waits %");
  for (const Plan& p : plans) {
    text += fmt::format("{:<28}{:>6}{:>7}{:>11}{:>6}{:>4}{:>10.1f}{:>#11.4g}{:>#8.3g}{:>8.1f}{}\n", p.mesh,
                        p.execution.micro_batch, p.execution.interleave, word(p.execution), p.execution.zero,
                        p.execution.sequence_parallel ? "yes" : "", p.memory.peak() / gib, p.time.step(), 100 * p.mfu(),
                        100 * (p.time.idle + p.time.host) / p.time.step(), p.fits(machine) ? "" : "  does not fit");
  }
  return text;
}

}  // namespace baton
