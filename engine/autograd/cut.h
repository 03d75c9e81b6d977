#pragma once

#include <vector>

#include "engine/tensor/tensor.h"

namespace baton {

// A place where a graph is cut in two, so that what follows may run backward in several passes: they leave their
// gradients here, and backward() takes the sums on.
class Cut {
 public:
  // x as a leaf of the graph that follows; x itself if it has no gradient.
  Tensor operator()(const Tensor& x);
  void backward();

 private:
  std::vector<Tensor> before_, leaves_;
};

}  // namespace baton
