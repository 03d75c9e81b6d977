#include "engine/data/pictures.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/heartbeat.h"
#include "engine/core/log.h"
#include "engine/core/parallel.h"
#include "engine/core/require.h"
#include "engine/data/dataset_source.h"
#include "engine/io/image.h"

namespace baton {
namespace {

Color parse_color(const std::string& text) {  // "#rrggbb", checked with the config
  Color color = white;
  for (int i = 0; i < 3; ++i) std::from_chars(text.data() + 1 + 2 * i, text.data() + 3 + 2 * i, color[i], 16);
  return color;
}

// Resized so that it just covers size x size, and cut at the centre.
Image to_square(const Image& image, int64_t size) {
  const double scale = static_cast<double>(size) / static_cast<double>(std::min(image.width, image.height));
  const int64_t width = std::max<int64_t>(size, std::llround(scale * static_cast<double>(image.width)));
  const int64_t height = std::max<int64_t>(size, std::llround(scale * static_cast<double>(image.height)));
  constexpr int64_t longest_side = 64;  // of the short side's; the resized strip must fit into memory
  check(std::max(width, height) <= longest_side * size, "{} x {} pixels: more than {} times as long as wide",
        image.width, image.height, longest_side);
  const Image covering = width == image.width && height == image.height ? image : resize_image(image, width, height);
  if (width == size && height == size) return covering;
  Image square{size, size, std::vector<uint8_t>(size * size * 3)};
  const int64_t top = (height - size) / 2, left = (width - size) / 2;
  for (int64_t y = 0; y < size; ++y)
    std::copy_n(covering.pixels.data() + ((top + y) * width + left) * 3, size * 3, square.pixels.data() + y * size * 3);
  return square;
}

std::string_view as_bytes(std::span<const uint8_t> pixels) {
  return {reinterpret_cast<const char*>(pixels.data()), pixels.size()};
}

}  // namespace

std::vector<PictureCheck> check_pictures(const Dataset& dataset, const DataConfig& config, const UsePixels& use) {
  const Color background = parse_color(config.background);
  const auto count = static_cast<int64_t>(dataset.items.size());
  std::vector<PictureCheck> checks(count);
  for_each_in_parallel(count, [&](int64_t i) {
    beat();
    try {
      const Image image = read_image(dataset.items[i].picture, background);
      checks[i].width = image.width;
      checks[i].height = image.height;
      checks[i].first_of_several = image.first_of_several;
      checks[i].other_colours = image.other_colours;
      const Image square = to_square(image, config.size);
      checks[i].hash = hash_bytes(as_bytes(square.pixels));
      if (use) use(i, square.pixels);
    } catch (const InputError& error) {
      checks[i].error = error.what();
    } catch (const RunError& error) {
      checks[i].error = error.what();
    }
  });
  return checks;
}

std::vector<std::string> notes_of(const Dataset& dataset, const std::vector<PictureCheck>& checks) {
  std::vector<std::string> notes;
  const auto count = [&](bool PictureCheck::*property, const char* what) {
    const auto found = std::ranges::count(checks, true, property);
    if (found == 0) return;
    const auto first = std::ranges::find(checks, true, property) - checks.begin();
    notes.push_back(fmt::format("{} pictures {}, the first is {}", found, what, dataset.items[first].where));
  };
  count(&PictureCheck::first_of_several, "are the first of several frames or pages, the others of which are not read");
  count(&PictureCheck::other_colours, "have a colour profile that is not sRGB, and their values are taken as sRGB");
  return notes;
}

void drop_unreadable(Dataset& dataset, const DataConfig& config) {
  constexpr size_t shown = 10;
  const std::vector<PictureCheck> checks = check_pictures(dataset, config);
  std::vector<DataItem> readable;
  std::vector<std::string> errors;
  for (size_t i = 0; i < checks.size(); ++i) {
    if (checks[i].error.empty())
      readable.push_back(std::move(dataset.items[i]));
    else
      errors.push_back(fmt::format("left out: {}: {}", dataset.items[i].where, checks[i].error));
  }
  check(!readable.empty(), "{}: none of {} pictures can be read, the first: {}", dataset.folder.string(), checks.size(),
        errors.front());
  dataset.items = std::move(readable);
  for (const std::string& error : std::span(errors).first(std::min(shown, errors.size())))
    dataset.notes.push_back(error);
  if (errors.size() > shown) dataset.notes.push_back(fmt::format("left out: {} more", errors.size() - shown));
}

Pictures::Pictures(const Dataset& dataset, const DataConfig& config) : dataset_(dataset), config_(config) {
  const int64_t each = config.size * config.size * 3;
  if (count() * each <= config.memory_mb << 20) pixels_.resize(count() * each);
  const std::vector<PictureCheck> checks =
      check_pictures(dataset, config, [&](int64_t item, std::span<const uint8_t> pixels) {
        if (in_memory()) std::ranges::copy(pixels, pixels_.begin() + item * each);
      });
  for (const std::string& note : notes_of(dataset, checks)) warn_once(note);
  Problems problems;
  std::string hashes;
  for (int64_t i = 0; i < count(); ++i) {
    if (!checks[i].error.empty()) problems.add(fmt::format("{}: {}", dataset.items[i].where, checks[i].error));
    hashes += checks[i].hash;
  }
  problems.throw_if_any(dataset.folder);
  hash_ = hash_bytes(hashes);
}

Tensor Pictures::whole(std::span<const Draw> draws) const { return cut(draws, config_.size); }

Tensor Pictures::crops(std::span<const Draw> draws) const {
  return cut(draws, config_.crop ? config_.crop : config_.size);
}

Tensor Pictures::cut(std::span<const Draw> draws, int64_t side) const {
  const int64_t size = config_.size;
  const Tensor out = Tensor::empty({static_cast<int64_t>(draws.size()), 3, side, side});
  float* to = out.data<float>();
  for (const Draw& draw : draws) {
    const bool all = side == size;
    const int64_t top = all ? 0 : draw.top, left = all ? 0 : draw.left;
    require(draw.item >= 0 && draw.item < count() && top >= 0 && left >= 0 && std::max(top, left) + side <= size,
            "pictures: crop {} at {}, {} of picture {}: outside the {} pictures of {}", side, top, left, draw.item,
            count(), size);
    std::vector<uint8_t> decoded;
    if (!in_memory())
      decoded = to_square(read_image(dataset_.items[draw.item].picture, parse_color(config_.background)), size).pixels;
    const uint8_t* from = in_memory() ? pixels_.data() + draw.item * size * size * 3 : decoded.data();
    for (int64_t channel = 0; channel < 3; ++channel)
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x) {
          const int64_t column = left + (draw.flip ? side - 1 - x : x);
          *to++ = static_cast<float>(from[((top + y) * size + column) * 3 + channel]) / 127.5f - 1;
        }
  }
  return out;
}

}  // namespace baton
