#include "engine/autograd/tape.h"

#include <atomic>
#include <map>
#include <set>

#include "engine/core/require.h"
#include "kernels/accumulate.h"

namespace baton {

struct GradNode {
  const char* name;
  uint64_t sequence;  // recording order: a node's inputs always have smaller ones
  std::vector<std::shared_ptr<GradSlot>> inputs;
  std::vector<std::weak_ptr<GradSlot>> outputs;
  BackwardRule rule;
};

namespace {

thread_local bool recording = true;
std::atomic<uint64_t> next_sequence{1};

bool is_broadcast(const Tensor& t) {
  for (int i = 0; i < t.rank(); ++i)
    if (t.stride()[i] == 0 && t.dim(i) > 1) return true;
  return false;
}

// Nodes still to run, latest first. Running in recording order makes sums of gradients repeatable.
using Queue = std::map<uint64_t, std::shared_ptr<GradNode>, std::greater<>>;

void schedule(const GradSlot& slot, Queue& pending) {
  if (slot.creator) pending.emplace(slot.creator->sequence, slot.creator);
}

std::vector<Tensor> take_output_gradients(const GradNode& node) {
  std::vector<Tensor> gradients;
  for (const auto& weak : node.outputs) {
    const auto slot = weak.lock();
    gradients.push_back(slot ? std::move(slot->grad) : Tensor());
    if (slot) slot->grad = {};
  }
  return gradients;
}

// Leaves that want to know when their gradient is final: how many nodes of the graph may still add to it.
using Uses = std::map<std::shared_ptr<GradSlot>, int>;

Uses count_uses(std::span<const Tensor> outputs) {
  Uses uses;
  std::set<const GradNode*> seen;
  std::vector<const GradNode*> open;
  const auto visit = [&](const GradSlot& slot) {
    if (slot.creator && seen.insert(slot.creator.get()).second) open.push_back(slot.creator.get());
  };
  for (const Tensor& output : outputs)
    if (output.requires_grad()) visit(*output.slot());
  while (!open.empty()) {
    const GradNode* node = open.back();
    open.pop_back();
    for (const auto& slot : node->inputs) {
      if (!slot) continue;
      visit(*slot);
      if (slot->on_ready) ++uses[slot];
    }
  }
  return uses;
}

void run(GradNode& node, Queue& pending, Uses& uses) {
  require(static_cast<bool>(node.rule), "backward: the graph of {} was already freed by an earlier backward pass",
          node.name);
  const std::vector<Tensor> gradients = node.rule(take_output_gradients(node));
  node.rule = nullptr;  // frees what it had saved
  require(gradients.size() == node.inputs.size(), "backward of {}: {} gradients for {} inputs", node.name,
          gradients.size(), node.inputs.size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    const auto& slot = node.inputs[i];
    if (!slot) continue;
    if (gradients[i]) {
      slot->accumulate(gradients[i]);
      schedule(*slot, pending);
    }
    const auto use = uses.find(slot);
    if (use == uses.end() || --use->second > 0) continue;
    if (slot->grad) slot->on_ready(*slot);
    uses.erase(use);
  }
}

}  // namespace

void GradSlot::accumulate(const Tensor& gradient) {
  if (!grad && gradient.shape() == shape && !is_broadcast(gradient)) {
    grad = gradient.detach();
    return;
  }
  // A gradient that may be shared with someone else is never written to: the sum goes to a fresh tensor the first time.
  Tensor sum = Tensor::empty(shape, creator ? gradient.dtype() : DType::f32);
  if (grad) kernels::cpu::sum_to({grad.view(), sum.view(), false});
  kernels::cpu::sum_to({gradient.view(), sum.view(), static_cast<bool>(grad)});
  grad = std::move(sum);
}

bool grad_enabled() { return recording; }

bool wants_grad(std::initializer_list<const Tensor*> tensors) {
  if (!recording) return false;
  for (const Tensor* t : tensors)
    if (t->requires_grad()) return true;
  return false;
}

bool wants_grad(std::span<const Tensor> tensors) {
  if (!recording) return false;
  for (const Tensor& t : tensors)
    if (t.requires_grad()) return true;
  return false;
}

void record(const char* name, std::vector<Tensor> outputs, std::span<const Tensor> inputs, BackwardRule rule) {
  auto node = std::make_shared<GradNode>();
  node->name = name;
  node->sequence = next_sequence++;
  node->rule = std::move(rule);
  for (const Tensor& input : inputs) node->inputs.push_back(input.requires_grad() ? input.slot() : nullptr);
  for (Tensor& output : outputs) {
    auto slot = std::make_shared<GradSlot>();
    slot->shape = output.shape();
    slot->creator = node;
    node->outputs.push_back(slot);
    output.set_slot(std::move(slot));
  }
}

void backward(const Tensor& output, const Tensor& gradient) {
  require(output.requires_grad(), "backward: the output does not depend on anything that requires a gradient");
  const Tensor seed = gradient ? gradient : Tensor::full(output.shape(), 1.0f);
  backward(std::span(&output, 1), std::span(&seed, 1));
}

void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients) {
  NoGrad off;
  Queue pending;
  Uses uses = count_uses(outputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!gradients[i] || !outputs[i].requires_grad()) continue;
    require(gradients[i].shape() == outputs[i].shape(), "backward: gradient {} for an output {}", gradients[i].shape(),
            outputs[i].shape());
    outputs[i].slot()->accumulate(gradients[i]);
    schedule(*outputs[i].slot(), pending);
  }
  while (!pending.empty()) {
    auto node = std::move(pending.begin()->second);
    pending.erase(pending.begin());
    run(*node, pending, uses);
  }
  for (const auto& [slot, left] : uses)  // some of whose nodes no gradient has reached
    if (slot->grad) slot->on_ready(*slot);
}

GradMode::GradMode(bool on) : before_(recording) { recording = on; }
GradMode::~GradMode() { recording = before_; }

void Tensor::set_requires_grad(bool wanted) {
  if (!wanted) {
    impl_->slot = nullptr;
  } else if (!impl_->slot) {
    impl_->slot = std::make_shared<GradSlot>();
    impl_->slot->shape = shape();
  }
}

Tensor Tensor::grad() const { return requires_grad() ? impl_->slot->grad : Tensor(); }

void Tensor::clear_grad() {
  if (requires_grad()) impl_->slot->grad = {};
}

}  // namespace baton
