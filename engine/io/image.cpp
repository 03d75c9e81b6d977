#include "engine/io/image.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "engine/core/error.h"

namespace baton {
namespace {

constexpr int64_t most_bytes = 512 << 20, most_pixels = 1 << 28;

cv::Mat decode(const std::string& bytes, int flags, const Path& path) {
  const cv::Mat buffer(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  cv::Mat decoded;
  try {
    decoded = cv::imdecode(buffer, flags);
  } catch (const cv::Exception& error) {
    fail("{}: the picture cannot be decoded: {}", path.string(), error.err);
  }
  check(!decoded.empty(), "{}: no picture, or a damaged one; PNG, JPEG, WebP, TIFF and BMP can be read", path.string());
  check(static_cast<int64_t>(decoded.total()) <= most_pixels, "{}: {}x{} pixels, at most {} can be read", path.string(),
        decoded.cols, decoded.rows, most_pixels);
  return decoded;
}

// BGRA of any depth over a colour, as 8-bit BGR.
cv::Mat composite(cv::Mat bgra, const Color& background) {
  if (bgra.depth() == CV_16U) bgra.convertTo(bgra, CV_8U, 1.0 / 257);
  cv::Mat out(bgra.size(), CV_8UC3);
  for (int y = 0; y < bgra.rows; ++y)
    for (int x = 0; x < bgra.cols; ++x) {
      const auto& from = bgra.at<cv::Vec4b>(y, x);
      for (int c = 0; c < 3; ++c)
        out.at<cv::Vec3b>(y, x)[c] =
            static_cast<uint8_t>((from[c] * from[3] + background[2 - c] * (255 - from[3]) + 127) / 255);
    }
  return out;
}

}  // namespace

Image read_image(const Path& path, const Color& background) {
  const std::string bytes = read_file(path, most_bytes);
  check(!bytes.empty(), "{}: the file is empty", path.string());
  const cv::Mat raw = decode(bytes, cv::IMREAD_UNCHANGED, path);
  // Only IMREAD_COLOR turns by the EXIF orientation, and only IMREAD_UNCHANGED keeps transparency.
  const bool transparent = raw.channels() == 4 && (raw.depth() == CV_8U || raw.depth() == CV_16U);
  const cv::Mat bgr = transparent ? composite(raw, background) : decode(bytes, cv::IMREAD_COLOR, path);
  Image image{bgr.cols, bgr.rows, std::vector<uint8_t>(bgr.total() * 3)};
  cv::cvtColor(bgr, cv::Mat(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data()), cv::COLOR_BGR2RGB);
  return image;
}

Image resize_image(const Image& image, int64_t width, int64_t height) {
  check(width > 0 && height > 0 && image.width > 0 && image.height > 0, "image: cannot resize {}x{} to {}x{}",
        image.width, image.height, width, height);
  if (width == image.width && height == image.height) return image;
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
