#include "engine/plan/advice.h"

#include <fmt/format.h>

#include "engine/plan/schedule.h"

namespace baton {
namespace {

constexpr double gib = 1 << 30;
constexpr double worth_a_word = 0.08;  // of a step

void on_memory(const Plan& plan, const Machine& machine, std::vector<std::string>& words) {
  const MemoryPlan& m = plan.memory;
  const Execution& e = plan.execution;
  const double usable = usable_memory * machine.memory;
  if (plan.fits(machine)) {
    const double saved = m.activations - m.activations_if[0];
    if (e.recompute != Recompute::off && m.peak() - saved <= usable)
      words.push_back("Recomputation is not needed: what it saves would fit; try --recompute none.");
    return;
  }
  words.push_back(fmt::format("It does not fit: {:.1f} GiB are needed, {:.1f} of {:.1f} GiB can be used.",
                              m.peak() / gib, usable / gib, machine.memory / gib));
  if (m.activations + m.activations_outside > m.state()) {
    if (e.recompute != Recompute::full)
      words.push_back(fmt::format("Activations need most; --recompute full leaves {:.1f} of {:.1f} GiB in the blocks.",
                                  m.activations_if[2] / gib, m.activations / gib));
    if (e.micro_batch > 1) words.push_back("A smaller --micro-batch makes activations smaller in proportion.");
    words.push_back(
        "tp with --sequence-parallel, and for denoisers ulysses or ring, divide the activations of one sample.");
  } else {
    words.push_back("Weights, gradients and optimizer need most; --zero 1 to 3, tp and pp divide them.");
  }
}

void on_communication(const Plan& plan, std::vector<std::string>& words) {
  constexpr const char* remedy[axis_count] = {"",
                                              "fewer pipeline stages would help",
                                              "a larger batch per step or ZeRO below stage 3 would help",
                                              "",
                                              "ulysses instead of ring would help inside a node",
                                              "fewer ranks on ulysses would help",
                                              "a smaller tp, or ulysses in its place, would help"};
  for (int axis = 0; axis < axis_count; ++axis) {
    const double share = plan.time.communication[axis] / plan.time.step();
    if (share > worth_a_word)
      words.push_back(fmt::format("{:.0f} % of a step is communication over {}: {}.", 100 * share,
                                  name(static_cast<Axis>(axis)), remedy[axis]));
  }
}

void on_host(const Plan& plan, std::vector<std::string>& words) {
  const double share = plan.time.host / plan.time.step();
  if (share > worth_a_word)
    words.push_back(fmt::format(
        "{:.0f} % of a step the devices wait for the host, as their kernels are small: {}{} would cost little time.",
        100 * share, plan.execution.micro_batches > 1 ? "larger micro-batches" : "a larger batch",
        plan.ranks > 1 ? ", or fewer ranks," : ""));
}

}  // namespace

std::vector<std::string> advice(const Plan& plan, const Machine& machine) {
  std::vector<std::string> words;
  on_memory(plan, machine, words);
  on_host(plan, words);
  on_communication(plan, words);
  const double step = plan.time.step();
  if (plan.time.idle > worth_a_word * step)
    words.push_back(
        fmt::format("{:.0f} % of a step the pipeline waits: more micro-batches than {} or --interleave help.",
                    100 * plan.time.idle / step, plan.execution.micro_batches));
  if (plan.time.optimizer > worth_a_word * step)
    words.push_back(fmt::format("{:.0f} % of a step is the optimizer: a larger batch, or --zero 1 to share it, helps.",
                                100 * plan.time.optimizer / step));
  if (words.empty()) words.push_back("Products limit it: what else is left would bring less than a tenth.");
  return words;
}

}  // namespace baton
