#pragma once

#include <span>

#include "engine/tensor/tensor.h"

// Flow matching (Lipman et al. 2023; Liu et al. 2023): the denoiser learns the velocity of the straight way from image
// to noise.
namespace baton {

// (1 - t[b]) image[b] + t[b] noise[b]: what the denoiser is shown. image, noise [B, ...] f32 -> the same shape. Not
// recorded.
Tensor noised(const Tensor& image, const Tensor& noise, std::span<const double> t);
Tensor noised(const Tensor& image, const Tensor& noise, double t);  // one noise level for all

// noise - image: what it is to predict, at every t.
Tensor flow_target(const Tensor& image, const Tensor& noise);

// The mean squared error of each sample: [B, ...] -> [B]. Recorded.
Tensor flow_loss(const Tensor& prediction, const Tensor& target);

}  // namespace baton
