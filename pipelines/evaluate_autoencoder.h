#pragma once

#include "pipelines/evaluate.h"

namespace baton {

// What `baton evaluate --autoencoder` does: prints for each folder's autoencoder the peak signal-to-noise ratio of the
// pictures that it encodes and decodes in f32, for values in [-1, 1]: of all values together, and the mean of the
// pictures' own. One rank. Returns an exit code; InputError for what is not there.
int evaluate_autoencoders(const EvaluateConfig& config, const Runtime& runtime);

}  // namespace baton
