#pragma once

#include <string>
#include <vector>

#include "engine/config/train_config.h"
#include "engine/nn/parameters.h"

// Optimizers over f32 leaves of the tape. State is kept as named tensors, so that a checkpoint stores it like weights.
// A parameter without a gradient is left as it is.
namespace baton {

// What every update of a parameter needs to know besides its gradient.
struct UpdateStep {
  int64_t number;  // from 1
  double lr;
  double gradient_scale;  // multiplies every gradient first
  float average_weight;   // moving average += weight (parameter - moving average)
};

// Parameters with, unless there are none, their moving averages, each of the parameter's shape.
struct Averaged {
  Parameters parameters;
  std::vector<Tensor> averages;
};

// Adam with decoupled weight decay, as torch.optim.AdamW computes it (kernels/optimizer.h).
class AdamW {
 public:
  AdamW(Averaged parameters, const AdamWConfig& config);
  void step(const UpdateStep& step);
  Parameters state() const;  // exp_avg.NAME, exp_avg_sq.NAME

 private:
  AdamWConfig config_;
  Averaged targets_;
  std::vector<Tensor> first_, second_;  // moments
};

// Nesterov momentum whose update is made orthogonal (Jordan et al. 2024), for matrices [rows, columns], scaled to
// AdamW's usual root mean square (Liu et al. 2025):
//   m = momentum m + (1 - momentum) g;   u = momentum m + (1 - momentum) g
//   p = (1 - lr weight_decay) p - lr 0.2 sqrt(max(rows, columns)) orthogonalize(u)
class Muon {
 public:
  // `compute`: the dtype of the GEMMs in orthogonalize(). Matrices that are shared out over `tp` are put together for
  // it.
  Muon(Averaged matrices, const MuonConfig& config, DType compute, Group& tp);
  void step(const UpdateStep& step);
  Parameters state() const;  // momentum.NAME

 private:
  void update(const std::vector<size_t>& group, const UpdateStep& step);

  MuonConfig config_;
  DType compute_;
  Group& tp_;
  Averaged targets_;
  std::vector<Tensor> momentum_;
  std::vector<std::vector<size_t>>
      groups_;  // indices of matrices of one shape and shard, which go through the GEMMs together
};

// Roughly the nearest matrices with orthonormal rows or columns: from x / |x|, five Newton-Schulz iterations
// x = (a + b s + c s^2) x with s = x x^T take the singular values to about [0.7, 1.2]. x [n, rows, columns] f32; the
// result has the dtype `compute`.
Tensor orthogonalize(const Tensor& x, DType compute);

// The optimizer of one network: Muon for the matrices inside its blocks, AdamW for the rest; with the moving average of
// the network's parameters. In update n the average's decay is the smaller of config.ema and (1 + n) / (10 + n), so
// that it soon forgets the weights that it started from.
class Optimizer {
 public:
  // `tp`: the ranks that sharded parameters are shared out over.
  Optimizer(const Parameters& parameters, const OptimizerConfig& config, DType compute, Group& tp = alone());

  // Clips the gradients, whose norm together is `norm`, to config.clip, applies them with both learning rates times
  // `lr_factor`, and clears them. RunError if the norm is not finite.
  void step(double lr_factor, double norm);

  int64_t steps() const { return *steps_.data<int64_t>(); }
  Parameters state() const;  // "steps" comes last
  // Whether the state of a parameter has a tensor KIND.NAME.
  bool keeps(std::string_view kind, const Parameter& parameter) const;
  // Named like the parameters; the parameters themselves if config.ema is 0.
  const Parameters& averages() const { return averages_; }

 private:
  OptimizerConfig config_;
  Parameters parameters_, averages_;
  AdamW adamw_;
  Muon muon_;
  Tensor steps_;  // [1] i64
};

// The norm of all gradients together.
double gradient_norm(const Parameters& parameters);

}  // namespace baton
