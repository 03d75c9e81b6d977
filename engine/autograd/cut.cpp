#include "engine/autograd/cut.h"

#include "engine/autograd/tape.h"

namespace baton {

Tensor Cut::operator()(const Tensor& x) {
  if (!x.defined() || !wants_grad({&x})) return x;
  before_.push_back(x);
  leaves_.push_back(x.detach());
  leaves_.back().set_requires_grad(true);
  return leaves_.back();
}

void Cut::backward() {
  std::vector<Tensor> gradients;
  for (const Tensor& leaf : leaves_) gradients.push_back(leaf.grad());
  leaves_.clear();
  baton::backward(before_, gradients);
  before_.clear();
}

}  // namespace baton
