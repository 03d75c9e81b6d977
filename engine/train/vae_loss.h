#pragma once

#include "engine/config/train_config.h"
#include "engine/models/wan_vae.h"

namespace baton {

// Mean loss terms of a reconstruction, all scalars and recorded.
struct VaeLoss {
  Tensor l1, mse;
  Tensor gradient;  // mean absolute error of the differences between horizontal and between vertical neighbours, summed
  Tensor kl;        // divergence from a standard normal, mean over the elements of the latents
  Tensor total;     // weighted
};
// picture, reconstruction [B, C, 1, H, W].
VaeLoss vae_loss(const Tensor& picture, const Tensor& reconstruction, const WanVae::Posterior& posterior,
                 const VaeLossConfig& weights);

}  // namespace baton
