#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/tensor/tensor.h"

// Reverse-mode differentiation over a graph that is recorded while the forward pass runs.
//   Tensor y = ops…(x);           every op in engine/ops calls record() when a gradient is wanted
//   backward(loss);               fills grad() of every leaf that loss depends on; leaves accumulate over calls
namespace baton {

struct GradNode;

// Gathers the gradient of one tensor. The tensor's values are not kept alive by it.
struct GradSlot {
  Shape shape;                        // a gradient that arrives broadcast is summed down to this
  Tensor grad;                        // f32 or the tensor's own dtype
  std::shared_ptr<GradNode> creator;  // null for a leaf (a parameter)
  std::function<void(GradSlot&)>
      on_ready;  // called when a leaf's gradient for this backward pass is final; may be empty

  void accumulate(const Tensor& gradient);
};

// Given the gradient of each output (undefined where none arrived), returns one of each input (undefined where none is
// wanted). Gradients that a rule returns must be fresh or shared tensors that nobody writes to afterwards.
using BackwardRule = std::function<std::vector<Tensor>(std::span<const Tensor> grad_outputs)>;

// True when recording is on and one of the tensors requires a gradient; undefined tensors do not count.
bool wants_grad(std::initializer_list<const Tensor*> tensors);
bool wants_grad(std::span<const Tensor> tensors);

// Ties fresh outputs to their inputs. Call only if wants_grad(inputs). `rule` must capture what it reads, detached, and
// nothing else.
void record(const char* name, std::vector<Tensor> outputs, std::span<const Tensor> inputs, BackwardRule rule);

// Runs the recorded rules backwards from `output`, and frees the graph on the way. `gradient` has output's shape; ones
// if undefined.
void backward(const Tensor& output, const Tensor& gradient = {});
// The same from several outputs at once; their gradients flow through shared parts only once.
void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients);

// Recording is on by default, per thread; these switch it for a scope.
class GradMode {
 public:
  explicit GradMode(bool on);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};
struct EnableGrad : GradMode {
  EnableGrad() : GradMode(true) {}
};
bool grad_enabled();

}  // namespace baton
