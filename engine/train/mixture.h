#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/diffusion/experts.h"
#include "engine/models/text_encoder.h"
#include "engine/models/wan_transformer.h"
#include "engine/train/denoiser_data.h"

namespace baton {

// Denoising experts with the text encoder that they share, as training and validation run them.
struct Mixture {
  const TextEncoder* text_encoder = nullptr;
  std::vector<const WanTransformer*> experts;
  ExpertRanges ranges;
  int64_t max_tokens = 0;
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
  Tensor loss;                   // [samples] mean squared error of the velocity of each; recorded
};

// Hard gate: the batch is permuted by expert, and each expert that has samples runs once on its own slice.
std::vector<ExpertLoss> mixture_losses(const Mixture& mixture, std::span<const NoisySample> batch, uint64_t seed);

}  // namespace baton
