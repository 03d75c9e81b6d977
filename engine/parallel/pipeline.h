#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/parallel/stages.h"
#include "engine/tensor/tensor.h"

// Micro-batches on their way through pipeline stages.
namespace baton {

// In which order a rank works on its micro-batches: 1F1B alternates forward and backward as soon as it can, so that few
// are under way (with several pieces: interleaved); GPipe does all forward, then all backward.
enum class PipelineOrder { one_f_one_b, gpipe };

struct PipelineTask {
  bool forward;
  int stage, pass;
  bool operator==(const PipelineTask&) const = default;
};

// What `rank` of `ranks` does, one after the other, with `passes` micro-batches on ranks x pieces stages (Huang et al.
// 2019; Narayanan et al. 2021, figures 3 and 4). Where these ask for a multiple of `ranks` micro-batches, those that
// lack are passed over.
std::vector<PipelineTask> pipeline_tasks(PipelineOrder order, int ranks, int rank, int pieces, int passes);

// One micro-batch, as one rank sees it: its stages run on their own, and the rest happens elsewhere.
class StagedPass {
 public:
  virtual ~StagedPass() = default;
  virtual bool empty() const { return false; }  // nothing to do, on any stage
  virtual Shape between() const = 0;            // of the f32 states that a stage gives to the next
  // Recorded. Stage 0 has no input. What the last stage gives is added up: the gradient of each value is one.
  virtual Tensor forward(int stage, const Tensor& input) = 0;
  // Around all the backward passes of this rank's stages.
  virtual void before_backward() {}
  virtual void after_backward() {}
};

// Fills the gradients of the parameters of this rank's stages. All ranks of axis pp call it with the same passes.
void run_pipeline(const Stages& stages, PipelineOrder order, std::span<const std::unique_ptr<StagedPass>> passes);

// Forward alone: each stage in its turn. The result of the last, f32 of shape `result`, goes to all ranks.
Tensor relay(const Stages& stages, const Shape& between, const Shape& result,
             const std::function<Tensor(int stage, const Tensor& input)>& forward);

}  // namespace baton
