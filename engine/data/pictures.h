#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/draw_sequence.h"
#include "engine/tensor/tensor.h"

namespace baton {

// What decoding an item showed.
struct PictureCheck {
  int64_t width = 0, height = 0;  // as stored, turned upright
  std::string hash;               // of the pixels that training sees
  bool first_of_several = false;  // the file holds further frames or pages
  bool other_colours = false;     // the file says that its values are not sRGB
  std::string error;              // why it cannot be read; empty: it can
};

// Decodes every item of the data set, on all cores, as training does. `use` gets the pixels of the readable ones,
// [size, size, 3], from several threads and in any order.
using UsePixels = std::function<void(int64_t item, std::span<const uint8_t> pixels)>;
std::vector<PictureCheck> check_pictures(const Dataset& dataset, const DataConfig& config, const UsePixels& use = {});

// What is worth knowing of the pictures that can be read, each with the number of pictures of which it is true.
std::vector<std::string> notes_of(const Dataset& dataset, const std::vector<PictureCheck>& checks);

// Leaves out the pictures that cannot be decoded, and notes each, or the first ten. Decodes everything.
void drop_unreadable(Dataset& dataset, const DataConfig& config);

// The pictures of a data set, each `size` x `size`: resized to cover the square (averaging down, Lanczos up) and cut at
// the centre. They are decoded once and kept as 8-bit values if that takes at most config.memory_mb, else decoded again
// whenever they are asked for; the values are the same. The data set must outlive it.
class Pictures {
 public:
  // Decodes everything, warns of what notes_of() says, and throws InputError that lists what cannot be read.
  Pictures(const Dataset& dataset, const DataConfig& config);

  int64_t count() const { return static_cast<int64_t>(dataset_.items.size()); }
  int64_t size() const { return config_.size; }
  bool in_memory() const { return !pixels_.empty(); }
  // Names the pixels of all pictures in their order: the same in another folder, another after any change.
  const std::string& hash() const { return hash_; }

  // [B, 3, c, c] f32 in [-1, 1]: the crops of `draws`, c = config.crop or the whole side; or all of one item.
  Tensor crops(std::span<const Draw> draws) const;
  Tensor whole(std::span<const Draw> draws) const;

 private:
  Tensor cut(std::span<const Draw> draws, int64_t side) const;

  const Dataset& dataset_;
  DataConfig config_;
  std::vector<uint8_t> pixels_;  // [count, size, size, 3], or empty
  std::string hash_;
};

}  // namespace baton
