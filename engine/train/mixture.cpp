#include "engine/train/mixture.h"

#include <algorithm>

#include "engine/core/random.h"
#include "engine/core/require.h"
#include "engine/diffusion/objective.h"
#include "engine/models/text_states.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "kernels/cpu/parallel.h"

namespace baton {
namespace {

struct FlowBatch {
  Tensor noisy, target;  // [B, C, F, h, w] f32
  Tensor timestep;       // [B] f32
};

FlowBatch make_flow_batch(std::span<const NoisySample> batch, std::span<const int64_t> order, const Shape& item,
                          uint64_t seed) {
  const auto items = static_cast<int64_t>(order.size());
  Shape shape{items};
  shape.insert(shape.end(), item.begin(), item.end());
  const Tensor image = Tensor::empty(shape), noise = Tensor::empty(shape), timestep = Tensor::empty({items});
  std::vector<double> times;
  for (int64_t i = 0; i < items; ++i) {
    const NoisySample& sample = batch[order[i]];
    require(sample.picture.latents.shape() == item, "training: latents {} and {} in one batch", item,
            sample.picture.latents.shape());
    times.push_back(sample.t);
    timestep.data<float>()[i] = timestep_of(sample.t);
  }
  std::vector<const float*> pictures;
  for (int64_t i : order) pictures.push_back(batch[i].picture.latents.data<float>());
  float *images = image.data<float>(), *noises = noise.data<float>();
  const int64_t size = numel(item);
  constexpr int64_t normal_cost = 64;  // a logarithm, a sine and a cosine for two numbers
  kernels::cpu::parallel_for(items, normal_cost * size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      std::copy_n(pictures[i], size, images + i * size);
      random_normal({noises + i * size, static_cast<size_t>(size)}, seed, batch[order[i]].noise_stream);
    }
  });
  return {noised(image, noise, times), flow_target(image, noise), timestep};
}

}  // namespace

GatedBatch::GatedBatch(const Mixture& mixture, std::span<const NoisySample> batch, const Shape& latents, uint64_t seed,
                       float weight)
    : mixture_(mixture), weight_(weight) {
  if (batch.empty() && mixture.in_step.empty()) return;
  std::vector<std::vector<int64_t>> members(mixture.experts.size());
  for (size_t i = 0; i < batch.size(); ++i)
    members[mixture.ranges.expert_of(batch[i].t)].push_back(static_cast<int64_t>(i));
  std::vector<int64_t> order;
  std::vector<std::vector<int32_t>> tokens;
  for (const auto& samples : members)
    for (int64_t i : samples) {
      order.push_back(i);
      tokens.push_back(batch[i].picture.tokens);
    }
  const FlowBatch flow = make_flow_batch(batch, order, latents, seed);
  noisy_ = flow.noisy;
  target_ = flow.target;
  const TextStates text = encode_texts(*mixture.text_encoder, tokens, mixture.max_tokens, mixture.layout);

  int64_t first = 0;
  for (size_t e = 0; e < members.size(); ++e) {
    const auto length = static_cast<int64_t>(members[e].size());
    if (length == 0 && !mixture.in_step.contains(static_cast<int>(e))) continue;
    const auto slice = [&](const Tensor& x) { return narrow(x, 0, first, length); };
    const WanTransformer& expert = *mixture.experts[e];
    const TextContext context = expert.encode_text(slice(text.states), slice(text.count));
    slices_.push_back({static_cast<int>(e), std::move(members[e]), first,
                       behind(cut_, expert.conditions(slice(noisy_).shape(), slice(flow.timestep), context))});
    first += length;
  }
  between_ = mixture.experts[slices_[0].expert]->between(noisy_.shape());
}

Tensor GatedBatch::forward(int stage, const Tensor& input) {
  const Tensor& from = stage == 0 ? noisy_ : input;
  std::vector<Tensor> outputs;
  bool last = false;
  for (const Slice& slice : slices_) {
    const WanTransformer& expert = *mixture_.experts[slice.expert];
    last = expert.stages().is_last(stage);
    const Tensor out = expert.stage(stage, narrow(from, 0, slice.first, slice.size()), slice.conditions);
    outputs.push_back(last ? flow_loss(out, narrow(target_, 0, slice.first, slice.size())) : out);
  }
  const Tensor all = outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
  if (!last) return all;
  losses_ = all.detach();
  return affine(all, weight_);
}

void GatedBatch::after_backward() { cut_.backward(); }

std::vector<ExpertLoss> GatedBatch::by_expert(const Tensor& losses) const {
  std::vector<ExpertLoss> result;
  const std::vector<float> values = losses.to_vector();
  for (const Slice& slice : slices_) {
    const auto begin = values.begin() + slice.first;
    result.push_back({slice.expert, slice.samples, {begin, begin + slice.size()}});
  }
  return result;
}

std::vector<ExpertLoss> GatedBatch::losses() {
  if (slices_.empty()) return {};
  const Stages& stages = mixture_.experts[slices_[0].expert]->stages();
  return by_expert(
      relay(stages, between_, {between_[0]}, [&](int stage, const Tensor& input) { return forward(stage, input); }));
}

std::vector<ExpertLoss> GatedBatch::losses_seen() const {
  return losses_ ? by_expert(losses_) : std::vector<ExpertLoss>();
}

}  // namespace baton
