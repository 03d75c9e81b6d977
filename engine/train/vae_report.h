#pragma once

#include <functional>
#include <vector>

#include "engine/models/wan_vae.h"
#include "engine/train/picture_data.h"

namespace baton {

struct VaeReport {
  double psnr = 0;                // of all values together, from the mean squared error, for values in [-1, 1] clamped
  std::vector<double> psnr_each;  // of each picture
  std::vector<float> latents_mean, latents_std;  // of each channel of the posterior means
};

// Encodes to the posterior's mean and decodes `items` pictures, evenly spaced in the data set. Tells `done` after each
// batch how many it has.
VaeReport report_vae(const WanVae& vae, PictureData& data, int64_t items,
                     const std::function<void(int64_t)>& done = {});

}  // namespace baton
