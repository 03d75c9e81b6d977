#pragma once

#include <span>

#include "engine/tensor/tensor.h"

namespace baton {

// Pictures for the autoencoder: [B, 3, 1, H, W] f32 in [-1, 1].
class PictureData {
 public:
  virtual ~PictureData() = default;
  // Training samples first … first + count - 1 of an endless sequence, perhaps crops: each a function of its number
  // alone.
  virtual Tensor samples(int64_t first, int64_t count) = 0;
  // The whole pictures of the data set in their order.
  virtual int64_t size() const = 0;
  virtual Tensor items(std::span<const int64_t> indices) = 0;
};

}  // namespace baton
