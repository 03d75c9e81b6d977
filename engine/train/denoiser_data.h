#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor/tensor.h"

namespace baton {

// A picture and a caption as denoiser training sees them.
struct DenoiserSample {
  Tensor latents;               // [C, F, h, w] f32, normalised per channel
  std::vector<int32_t> tokens;  // end of sequence included; at least one
};

// What denoisers are validated on: the pictures of a data set in their order, each with its first caption. Any number
// of threads may ask at once.
class ValidationData {
 public:
  virtual ~ValidationData() = default;
  virtual int64_t size() const = 0;
  virtual DenoiserSample item(int64_t index) const = 0;
};

// What denoiser training draws from. Each rank has its own, as drawing may change it.
class DenoiserData : public ValidationData {
 public:
  // Training sample `number` of an endless sequence: a function of the number alone.
  virtual DenoiserSample sample(int64_t number) = 0;
};

}  // namespace baton
