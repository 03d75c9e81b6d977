#include "engine/autograd/recompute.h"

namespace baton {
namespace {

std::vector<Tensor> detached_leaves(std::span<const Tensor> inputs, const std::vector<bool>& wanted) {
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].detach());
    if (wanted[i]) leaves.back().set_requires_grad(true);
  }
  return leaves;
}

}  // namespace

std::vector<Tensor> recompute(Region region, std::vector<Tensor> inputs) {
  if (!grad_enabled()) return region(inputs);
  std::vector<bool> wanted;
  for (const Tensor& input : inputs) wanted.push_back(input.requires_grad());
  std::vector<Tensor> outputs;
  {
    NoGrad off;
    outputs = region(inputs);
  }
  std::vector<Tensor> saved;
  for (const Tensor& input : inputs) saved.push_back(input.detach());
  // An output may be an input itself: give each a handle of its own before a slot is tied to it.
  for (Tensor& output : outputs) output = output.detach();
  record("recompute", outputs, inputs, [region = std::move(region), saved, wanted](std::span<const Tensor> gradients) {
    EnableGrad on;
    const std::vector<Tensor> leaves = detached_leaves(saved, wanted);
    const std::vector<Tensor> again = region(leaves);
    backward(again, gradients);
    std::vector<Tensor> result;
    for (const Tensor& leaf : leaves) result.push_back(leaf.grad());
    return result;
  });
  return outputs;
}

}  // namespace baton
