#pragma once

#include "engine/nn/parameters.h"

namespace baton {

// What the pipelines ask of a text encoder, whatever its family.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // ids [B, L] i32; present [B, L] f32, 1 for a token and 0 for padding (undefined: all 1) -> states [B, L, width()]
  // f32. What stands at padded positions is unspecified.
  virtual Tensor encode(const Tensor& ids, const Tensor& present) const = 0;
  virtual int64_t width() const = 0;
  const Parameters& parameters() const { return parameters_; }

 protected:
  Parameters parameters_;
};

}  // namespace baton
