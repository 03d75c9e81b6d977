#pragma once

#include <functional>
#include <span>
#include <string>

#include "engine/core/progress.h"
#include "engine/data/draw_sequence.h"
#include "engine/data/pictures.h"
#include "engine/io/safetensors.h"
#include "engine/tensor/tensor.h"

namespace baton {

// Pictures [B, 3, S, S] f32 in [-1, 1] -> latents [B, C, h, w] f32.
using EncodePictures = std::function<Tensor(const Tensor& pictures)>;

// What a cache is made of; two caches of equal sources hold the same latents.
struct LatentSource {
  std::string encoder;        // names the weights and everything else that `encode` depends on
  std::string pictures;       // Pictures::hash()
  bool flip = false;          // also the mirrored pictures: their latents are not the mirrored latents
  DType dtype = DType::bf16;  // stored; f32 or bf16
};

// The latents of a data set, encoded once, in a safetensors file that names its source: "latents" [items, C, h, w], and
// "mirrored" of the same shape. They stay in the file; reading one is reading the system's cache of it.
class LatentCache {
 public:
  // Throws InputError if the file is of another source.
  LatentCache(const Path& file, const LatentSource& source);

  int64_t count() const { return shape_[0]; }
  // [B, C, h, w] f32. Draws must be without a crop. Throws LostData if the file was cut short.
  Tensor latents(std::span<const Draw> draws) const;

 private:
  SafetensorsFile file_;
  Shape shape_;  // [items, C, h, w]
  DType dtype_;
  bool mirrored_;
};

// Encodes all pictures, `batch` at a time, and writes the file, whole or not at all.
void write_latent_cache(const Path& file, const LatentSource& source, const Pictures& pictures, int64_t batch,
                        const EncodePictures& encode, ProgressMode progress);

// The cache of `source` in `folder`, which is made first if it is not there, and made anew, with a warning, if it
// cannot be used. Caches of other sources stay beside it.
LatentCache open_latent_cache(const Path& folder, const LatentSource& source, const Pictures& pictures, int64_t batch,
                              const EncodePictures& encode, ProgressMode progress);

}  // namespace baton
