#pragma once

#include "kernels/view.h"

// Optimizer arithmetic, in place over f32 contiguous tensors with equally many elements. Every number is read and
// written once.
namespace baton::kernels {

// target += weight (source - target): one step of an exponential moving average with decay 1 - weight.
struct LerpArgs {
  View target, source;
  float weight;
};

// torch.optim.AdamW (Loshchilov & Hutter 2019), with g = gradient_scale * gradient and n = step, which counts from 1:
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   p = (1 - lr weight_decay) p - lr / (1 - beta1^n) m / (sqrt(v / (1 - beta2^n)) + eps)
// and then, if `average` is present, average += average_weight (p - average).
struct AdamWArgs {
  View parameter, gradient, first_moment, second_moment;
  double lr, beta1, beta2, eps, weight_decay;
  int64_t step;
  double gradient_scale = 1;
  View average = {};
  float average_weight = 0;
};

// The momentum of Muon (Jordan et al. 2024; torch.optim.Muon), with g = gradient_scale * gradient:
//   m = momentum m + (1 - momentum) g;   update = nesterov ? momentum m + (1 - momentum) g : m
// update is f32 or bf16.
struct MomentumArgs {
  View gradient, buffer, update;
  double momentum;
  bool nesterov;
  double gradient_scale = 1;
};

// p = (1 - decay) p - step_size * update, with update f32 or bf16; then the average as above. (decay: learning rate
// times weight decay.)
struct ApplyUpdateArgs {
  View parameter, update;
  double step_size, decay;
  View average = {};
  float average_weight = 0;
};

namespace cpu {
void lerp(const LerpArgs&);
void adamw(const AdamWArgs&);
void momentum(const MomentumArgs&);
void apply_update(const ApplyUpdateArgs&);
// Sum of x^2, for norms of gradients: x f32 or bf16. The order of the additions depends on the number of elements
// alone.
double sum_of_squares(const View& x);
}  // namespace cpu

}  // namespace baton::kernels
