#pragma once

#include <memory>
#include <set>
#include <span>
#include <vector>

#include "engine/autograd/cut.h"
#include "engine/diffusion/experts.h"
#include "engine/models/text_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/parallel/pipeline.h"
#include "engine/train/denoiser_data.h"

namespace baton {

// Denoising experts with the text encoder that they share, as training and validation run them.
struct Mixture {
  const TextEncoder* text_encoder = nullptr;
  std::vector<const WanTransformer*> experts;
  ExpertRanges ranges;
  int64_t max_tokens = 0;
  Layout layout = {};  // whose ranks share the encoding of texts
  // Experts that run even without a sample here, as replicas gather their weights together (ZeRO 3).
  std::set<int> in_step = {};
};

// A picture with its text, at noise level t.
struct NoisySample {
  DenoiserSample picture;
  double t;
  uint64_t noise_stream;  // names its noise
};

// What one expert made of its share of a batch.
struct ExpertLoss {
  int expert;
  std::vector<int64_t> samples;  // their indices in the batch, rising
  std::vector<float> losses;     // mean squared error of the velocity of each
};

// Hard gate: the batch is permuted by expert, and each expert that has samples runs once on its own slice. The texts
// are encoded and the noise is drawn here; the experts' stages run when they are called.
class GatedBatch : public StagedPass {
 public:
  // `latents`: shape of one picture's. Gradients are those of `weight` times the sum of the losses.
  GatedBatch(const Mixture& mixture, std::span<const NoisySample> batch, const Shape& latents, uint64_t seed,
             float weight = 1);

  bool empty() const override { return slices_.empty(); }
  Shape between() const override { return between_; }
  Tensor forward(int stage, const Tensor& input) override;
  void after_backward() override;  // takes the gradients on to what conditions the blocks, and to the text encoder

  // All stages forward, without gradients. All ranks of the pipeline call it and have the result; of weight 1.
  std::vector<ExpertLoss> losses();
  // Of a pass in training, on the rank with the last stage; empty elsewhere.
  std::vector<ExpertLoss> losses_seen() const;

 private:
  struct Slice {
    int expert;
    std::vector<int64_t> samples;
    int64_t first;  // in the permuted batch
    WanConditions conditions;
    int64_t size() const { return std::ssize(samples); }
  };
  std::vector<ExpertLoss> by_expert(const Tensor& losses) const;

  const Mixture& mixture_;
  float weight_;
  Tensor noisy_, target_;  // [B, C, F, h, w] f32
  std::vector<Slice> slices_;
  Shape between_{0};
  Cut cut_;
  Tensor losses_;  // [B], of the last stage
};

}  // namespace baton
