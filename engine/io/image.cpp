#include "engine/io/image.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "engine/core/error.h"
#include "engine/io/decoding_memory.h"
#include "engine/io/image_header.h"
#include "engine/io/tiff.h"
#include "engine/io/webp_animation.h"

namespace baton {
namespace {

constexpr int64_t most_bytes = 512 << 20;

// OpenCV's own threads would come on top of those that are counted; pictures are decoded side by side as it is.
void keep_to_this_thread() {
  static const bool done = (cv::setNumThreads(0), true);
  (void)done;
}

cv::Mat decode_pixels(std::string_view file, const ImageHeader& header, std::string_view where);

// The canvas with this frame of an animation on it.
cv::Mat decode_frame(const WebpFrame& frame, const ImageHeader& canvas, std::string_view where) {
  const ImageHeader header = read_image_header(frame.file, where);
  check(frame.left + header.width <= canvas.width && frame.top + header.height <= canvas.height,
        "{}: the WebP file is damaged: a frame beyond its canvas", where);
  const cv::Mat part = decode_pixels(frame.file, header, where);
  cv::Mat whole(static_cast<int>(canvas.height), static_cast<int>(canvas.width), CV_8UC4,
                cv::Scalar(0, 0, 0, frame.on_transparent ? 0 : 255));
  cv::Mat place = whole(cv::Rect(static_cast<int>(frame.left), static_cast<int>(frame.top), part.cols, part.rows));
  if (part.channels() == 3)
    cv::cvtColor(part, place, cv::COLOR_BGR2BGRA);
  else
    part.copyTo(place);
  return whole;
}

// BGR, BGRA or grey, of 8 or 16 bits, not turned.
cv::Mat decode_pixels(std::string_view file, const ImageHeader& header, std::string_view where) {
  // OpenCV picks the decoder by the file's own say, and a WebP file whose header it does not like becomes a medical
  // picture when this word stands at this place: for a decoder that ends the process on bad input.
  check(file.size() < 132 || file.substr(128, 4) != "DICM",
        "{}: a DICOM file, which cannot be read; save it anew as PNG", where);
  if (const std::optional<WebpFrame> frame = first_webp_frame(file)) return decode_frame(*frame, header, where);
  if (is_tiff(file)) {
    cv::Mat decoded(static_cast<int>(header.height), static_cast<int>(header.width), CV_8UC4);
    decode_tiff(file, header, where, decoded.data);
    return decoded;
  }
  const cv::Mat buffer(1, static_cast<int>(file.size()), CV_8U, const_cast<char*>(file.data()));
  cv::Mat decoded;
  try {
    const BoundedAllocations bound(header.width * header.height * header.bytes_per_pixel);
    decoded = cv::imdecode(buffer, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& error) {
    fail("{}: the picture cannot be decoded: {}", where, error.err);
  }
  check(decoded.cols == header.width && decoded.rows == header.height &&
            (decoded.depth() == CV_8U || decoded.depth() == CV_16U),
        "{}: the picture is damaged or of a rare kind; save it anew as PNG", where);
  return decoded;
}

// Where EXIF orientation `o` puts the pixel (x, y) of a stored picture. From 5 on rows and columns are exchanged.
std::pair<int64_t, int64_t> upright(int o, int64_t x, int64_t y, const ImageHeader& h) {
  const int64_t right = h.width - 1 - x, bottom = h.height - 1 - y;
  switch (o) {
    case 2:
      return {right, y};
    case 3:
      return {right, bottom};
    case 4:
      return {x, bottom};
    case 5:
      return {y, x};
    case 6:
      return {bottom, x};
    case 7:
      return {bottom, right};
    case 8:
      return {y, right};
    default:
      return {x, y};
  }
}

// T: uint8_t or uint16_t.
template <typename T>
void copy_pixels(const cv::Mat& from, const ImageHeader& header, const Color& background, Image& to) {
  constexpr int64_t full = std::numeric_limits<T>::max(), unit = full / 255;  // the value of white; 1 or 257
  const int channels = from.channels();
  for (int64_t y = 0; y < header.height; ++y)
    for (int64_t x = 0; x < header.width; ++x) {
      const T* pixel = from.ptr<T>(static_cast<int>(y)) + x * channels;
      const bool hidden = channels == 1 && pixel[0] == header.transparent_grey;
      const int64_t alpha = channels == 4 ? pixel[3] : hidden ? 0 : full;
      const auto [column, row] = upright(header.orientation, x, y, header);
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t value = channels == 1 ? pixel[0] : pixel[2 - c];
        const int64_t own = value * (header.premultiplied ? full : alpha);
        const int64_t mixed = std::min(own + background[c] * unit * (full - alpha), full * full);
        to.pixels[3 * (row * to.width + column) + c] = static_cast<uint8_t>((mixed + full * unit / 2) / (full * unit));
      }
    }
}

}  // namespace

Image read_image(const Path& path, const Color& background) {
  return decode_image(read_file(path, most_bytes), path.string(), background);
}

Image decode_image(std::string_view file, std::string_view where, const Color& background) {
  keep_to_this_thread();
  const ImageHeader header = read_image_header(file, where);
  const int64_t each = header.bytes_per_pixel + 3;
  check(header.width <= most_decoding_bytes / each / header.height,
        "{}: {}x{} pixels take more than the {} MiB that decoding may; make the picture smaller", where, header.width,
        header.height, most_decoding_bytes >> 20);
  const DecodingMemory memory(header.width * header.height * each);
  const cv::Mat decoded = decode_pixels(file, header, where);
  Image image{header.width, header.height, std::vector<uint8_t>(decoded.total() * 3)};
  image.first_of_several = header.first_of_several;
  image.other_colours = header.other_colours;
  if (header.orientation >= 5) std::swap(image.width, image.height);
  if (decoded.depth() == CV_8U)
    copy_pixels<uint8_t>(decoded, header, background, image);
  else
    copy_pixels<uint16_t>(decoded, header, background, image);
  return image;
}

Image resize_image(const Image& image, int64_t width, int64_t height) {
  check(width > 0 && height > 0 && image.width > 0 && image.height > 0, "image: cannot resize {}x{} to {}x{}",
        image.width, image.height, width, height);
  if (width == image.width && height == image.height) return image;
  keep_to_this_thread();
  Image out{width, height, std::vector<uint8_t>(width * height * 3)};
  const cv::Mat from(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                     const_cast<uint8_t*>(image.pixels.data()));
  cv::Mat to(static_cast<int>(height), static_cast<int>(width), CV_8UC3, out.pixels.data());
  const bool shrinks = width * height < image.width * image.height;
  cv::resize(from, to, to.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LANCZOS4);
  return out;
}

Tensor to_tensor(const Image& image) {
  const int64_t plane = image.width * image.height;
  Tensor x = Tensor::empty({3, image.height, image.width});
  for (int64_t i = 0; i < plane; ++i)
    for (int64_t c = 0; c < 3; ++c) x.data<float>()[c * plane + i] = static_cast<float>(image.pixels[3 * i + c]) / 255;
  return x;
}

Image to_image(const Tensor& x) {
  check(x.rank() == 3 && x.dim(0) == 3 && x.is_contiguous(), "image: tensor {}, expected [3, H, W]", x.shape());
  const int64_t plane = x.dim(1) * x.dim(2);
  Image image{x.dim(2), x.dim(1), std::vector<uint8_t>(plane * 3)};
  for (int64_t i = 0; i < plane; ++i)
    for (int64_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] =
          static_cast<uint8_t>(std::lround(std::clamp(x.data<float>()[c * plane + i], 0.0f, 1.0f) * 255));
  return image;
}

}  // namespace baton
