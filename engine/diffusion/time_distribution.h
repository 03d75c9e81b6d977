#pragma once

#include <cstdint>
#include <vector>

#include "engine/diffusion/experts.h"

namespace baton {

// How training draws noise levels: u from the law, then t = shift u / (1 + (shift - 1) u). Everything here speaks of t,
// the routing key.
struct TimeDistribution {
  enum class Law { logit_normal, uniform };
  Law law = Law::logit_normal;
  double mean = 0, deviation = 1;  // of log(u / (1 - u)), normally distributed (Esser et al. 2024)
  double shift = 1;

  double cumulative(double t) const;  // P(key < t)
  double quantile(double p) const;    // the t whose cumulative() is p
};

// The share of samples that each expert is to get.
std::vector<double> expected_shares(const ExpertRanges& experts, const TimeDistribution& distribution);

// N experts with the same share of samples.
ExpertRanges equal_shares(int experts, const TimeDistribution& distribution);

// The noise levels of one batch in `range`, each as the timestep that the denoiser is given has it (f32), in random
// order. They are the quantiles (i + u) / count with one u for the batch, so each value is distributed as asked, while
// the number that falls to an expert differs from its planned share of this batch by less than one (systematic
// sampling; Kingma et al. 2021). Keyed by (seed, stream): a stream serves one batch.
std::vector<double> draw_times(const TimeDistribution& distribution, int count, uint64_t seed, uint64_t stream,
                               NoiseRange range = {0, 1});

}  // namespace baton
