#include "engine/parallel/pipeline.h"

#include <algorithm>
#include <map>
#include <optional>

#include "engine/autograd/tape.h"
#include "engine/core/require.h"
#include "engine/ops/view.h"

namespace baton {
namespace {

std::vector<PipelineTask> gpipe(int rank, int passes) {
  std::vector<PipelineTask> tasks;
  for (bool forward : {true, false})
    for (int pass = 0; pass < passes; ++pass) tasks.push_back({forward, rank, pass});
  return tasks;
}

// With several pieces, a rank takes `ranks` micro-batches through one piece, then through the next.
std::vector<PipelineTask> one_f_one_b(int ranks, int rank, int pieces, int passes) {
  const int block = ranks * pieces, all = pieces == 1 ? passes : (passes + ranks - 1) / ranks * block;
  const auto task = [&](bool forward, int number) -> PipelineTask {
    if (pieces == 1) return {forward, rank, number};
    const int piece = number % block / ranks;
    return {forward, (forward ? piece : pieces - 1 - piece) * ranks + rank, number / block * ranks + number % ranks};
  };
  const int behind = ranks - rank - 1;
  const int ahead = std::min(all, pieces == 1 ? behind : 2 * behind + (pieces - 1) * ranks);
  std::vector<PipelineTask> tasks;
  for (int i = 0; i < all + ahead; ++i) {
    if (i < all) tasks.push_back(task(true, i));
    if (i >= ahead) tasks.push_back(task(false, i - ahead));
  }
  std::erase_if(tasks, [&](const PipelineTask& t) { return t.pass >= passes; });
  return tasks;
}

Tensor received(const Shape& shape, Group& group, int from) {
  const Tensor x = Tensor::empty(shape);
  group.receive(values(x), from).wait();
  return x;
}

// Passes of one rank under way.
class Pipeline {
 public:
  Pipeline(const Stages& stages, std::span<const std::unique_ptr<StagedPass>> passes)
      : stages_(stages), passes_(passes), backward_done_(passes.size()) {}

  void run(const PipelineTask& task) {
    if (passes_[task.pass]->empty()) return;
    if (task.forward)
      forward(task.stage, task.pass);
    else
      backward(task.stage, task.pass);
  }

 private:
  struct Sent {
    Tensor values;  // which must stay until they have arrived
    Pending pending;
  };
  struct Visit {  // of a pass at a stage, until its backward pass
    Tensor input, output;
    Sent sent;
  };

  Sent send(const Tensor& x, Group& group, int stage) const {
    Sent sent{contiguous(x.detach()), {}};
    sent.pending = group.send(values(sent.values), stages_.owner(stage));
    return sent;
  }

  void forward(int stage, int pass) {
    Visit visit;
    if (stage > 0) {
      visit.input = received(passes_[pass]->between(), stages_.forward(), stages_.owner(stage - 1));
      visit.input.set_requires_grad(true);
    }
    visit.output = passes_[pass]->forward(stage, visit.input);
    if (!stages_.is_last(stage)) visit.sent = send(visit.output, stages_.forward(), stage + 1);
    visits_[{stage, pass}] = std::move(visit);
  }

  void backward(int stage, int pass) {
    Visit visit = std::move(visits_.extract({stage, pass}).mapped());
    Tensor gradient;  // undefined: ones
    if (!stages_.is_last(stage)) {
      gradient = received(visit.output.shape(), stages_.backward(), stages_.owner(stage + 1));
      visit.sent.pending.wait();
    }
    if (backward_done_[pass]++ == 0) passes_[pass]->before_backward();
    baton::backward(visit.output, gradient);
    if (stage > 0) gradients_.push_back(send(visit.input.grad(), stages_.backward(), stage - 1));
    if (backward_done_[pass] == stages_.pieces()) passes_[pass]->after_backward();
  }

  const Stages& stages_;
  std::span<const std::unique_ptr<StagedPass>> passes_;
  std::map<std::pair<int, int>, Visit> visits_;  // (stage, pass)
  std::vector<int> backward_done_;               // stages of each pass
  std::vector<Sent> gradients_;                  // under way to the stage before
};

}  // namespace

std::vector<PipelineTask> pipeline_tasks(PipelineOrder order, int ranks, int rank, int pieces, int passes) {
  if (order == PipelineOrder::one_f_one_b) return one_f_one_b(ranks, rank, pieces, passes);
  require(pieces == 1, "pipeline: gpipe works on each stage as a whole, not on {} pieces", pieces);
  return gpipe(rank, passes);
}

void run_pipeline(const Stages& stages, PipelineOrder order, std::span<const std::unique_ptr<StagedPass>> passes) {
  Pipeline pipeline(stages, passes);
  for (const PipelineTask& task :
       pipeline_tasks(order, stages.ranks(), stages.forward().rank(), stages.pieces(), static_cast<int>(passes.size())))
    pipeline.run(task);
}

Tensor relay(const Stages& stages, const Shape& between, const Shape& result,
             const std::function<Tensor(int stage, const Tensor& input)>& forward) {
  if (stages.count() == 1) return forward(0, {});
  require(!grad_enabled(), "pipeline: gradients go through run_pipeline()");
  Group& group = stages.forward();
  Tensor x;
  for (int stage = 0; stage < stages.count(); ++stage) {
    if (!stages.has(stage)) continue;
    if (stage > 0) x = received(between, group, stages.owner(stage - 1));
    x = contiguous(forward(stage, x));
    if (!stages.is_last(stage)) group.send(values(x), stages.owner(stage + 1)).wait();
  }
  if (!stages.has_last()) x = Tensor::empty(result);
  group.broadcast(values(x), stages.owner(stages.count() - 1)).wait();
  return x;
}

}  // namespace baton
