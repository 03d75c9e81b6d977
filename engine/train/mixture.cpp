#include "engine/train/mixture.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/diffusion/objective.h"
#include "engine/models/text_states.h"
#include "engine/ops/view.h"
#include "kernels/cpu/parallel.h"

namespace baton {
namespace {

struct FlowBatch {
  Tensor noisy, target;  // [B, C, F, h, w] f32
  Tensor timestep;       // [B] f32
};

FlowBatch make_flow_batch(std::span<const NoisySample> batch, std::span<const int64_t> order, uint64_t seed) {
  const auto items = static_cast<int64_t>(order.size());
  const Shape& item = batch[0].picture.latents.shape();
  Shape shape{items};
  shape.insert(shape.end(), item.begin(), item.end());
  const Tensor image = Tensor::empty(shape), noise = Tensor::empty(shape), timestep = Tensor::empty({items});
  std::vector<double> times;
  for (int64_t i = 0; i < items; ++i) {
    const NoisySample& sample = batch[order[i]];
    check(sample.picture.latents.shape() == item, "training: latents {} and {} in one batch", item,
          sample.picture.latents.shape());
    times.push_back(sample.t);
    timestep.data<float>()[i] = timestep_of(sample.t);
  }
  const int64_t size = numel(item);
  constexpr int64_t normal_cost = 64;  // a logarithm, a sine and a cosine for two numbers
  kernels::cpu::parallel_for(items, normal_cost * size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const NoisySample& sample = batch[order[i]];
      std::copy_n(sample.picture.latents.data<float>(), size, image.data<float>() + i * size);
      random_normal({noise.data<float>() + i * size, static_cast<size_t>(size)}, seed, sample.noise_stream);
    }
  });
  return {noised(image, noise, times), flow_target(image, noise), timestep};
}

}  // namespace

std::vector<ExpertLoss> mixture_losses(const Mixture& mixture, std::span<const NoisySample> batch, uint64_t seed) {
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
  const FlowBatch flow = make_flow_batch(batch, order, seed);
  const TextStates text = encode_texts(*mixture.text_encoder, tokens, mixture.max_tokens);

  std::vector<ExpertLoss> losses;
  int64_t first = 0;
  for (size_t e = 0; e < members.size(); ++e) {
    const auto length = static_cast<int64_t>(members[e].size());
    if (length == 0) continue;
    const auto slice = [&](const Tensor& x) { return narrow(x, 0, first, length); };
    const WanTransformer& expert = *mixture.experts[e];
    const Tensor predicted =
        expert(slice(flow.noisy), slice(flow.timestep), expert.encode_text(slice(text.states), slice(text.count)));
    losses.push_back({static_cast<int>(e), std::move(members[e]), flow_loss(predicted, slice(flow.target))});
    first += length;
  }
  return losses;
}

}  // namespace baton
