#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/io/file.h"
#include "engine/tensor/tensor.h"

namespace baton {

// An 8-bit RGB picture, rows from top to bottom.
struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;    // [height, width, 3]
  bool first_of_several = false;  // its file holds further frames or pages
  bool other_colours = false;     // its file says that its values are not sRGB; they are as they were
};

using Color = std::array<uint8_t, 3>;
constexpr Color white{255, 255, 255};

// Decodes PNG, JPEG, WebP, TIFF or BMP (the first frame or page of several): turned upright by its EXIF orientation,
// transparency composited over `background`, grey and 16-bit pictures made 8-bit RGB. InputError naming the file if it
// is too large (512 MB; 1 GiB to decode, 153 megapixels of most kinds; refused before decoding), damaged, cut short or
// no picture. All threads together decode no more than 1 GiB at one time. Colour profiles are not applied: values are
// taken as sRGB, and other_colours says where they are not.
Image read_image(const Path& path, const Color& background = white);
// The same from memory; messages start with `where`.
Image decode_image(std::string_view file, std::string_view where, const Color& background = white);

// Averages over areas where it shrinks, Lanczos where it grows.
Image resize_image(const Image& image, int64_t width, int64_t height);

// [3, H, W] f32 in [0, 1].
Tensor to_tensor(const Image& image);
// The picture nearest to x [3, H, W] f32; values outside [0, 1] are clamped.
Image to_image(const Tensor& x);

}  // namespace baton
