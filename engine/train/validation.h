#pragma once

#include <functional>

#include "engine/io/json.h"
#include "engine/train/mixture.h"

namespace baton {

// Fixed pictures, captions, noise and noise levels: models are compared on the very same numbers.
struct ValidationGrid {
  std::vector<NoisySample> samples;  // of each picture one in every bin of t
  int64_t bins;                      // of equal width in t
};

// `items` pictures, evenly spaced in the data set. The noise level within its bin and the noise depend on the picture's
// place among them and on the bin alone.
ValidationGrid make_validation_grid(const ValidationData& data, int64_t items, int64_t bins);

// The mean squared error of the velocity for each of the grid's samples. Tells `done` after each batch how many it has.
std::vector<double> validation_losses(const Mixture& mixture, const ValidationGrid& grid, int64_t batch,
                                      const std::function<void(int64_t)>& done = {});

// Means: {"loss", "bins": [of each bin of t, lowest first], "experts": [of each of `ranges`, noisiest first; null where
// the grid has no sample]}.
Json summarize_validation(const ValidationGrid& grid, const std::vector<double>& losses, const ExpertRanges& ranges);

}  // namespace baton
