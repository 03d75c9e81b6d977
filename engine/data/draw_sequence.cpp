#include "engine/data/draw_sequence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace baton {
namespace {

// Streams of random numbers (engine/core/random.h), one for each question. The high bits keep them apart from other
// users of the same seed.
enum Stream : uint64_t { order = 0xda7a'0000'0000'0000, offset, flips, crops, captions, tags };

// Fisher-Yates with numbers `first` … of `stream`.
template <typename T>
void shuffle(std::span<T> values, uint64_t seed, uint64_t stream, uint64_t first) {
  for (size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[random_below(i, seed, stream, first + i - 1)]);
}

}  // namespace

DrawSequence::DrawSequence(const Dataset& dataset, const DataConfig& config, uint64_t seed)
    : dataset_(dataset), seed_(seed), flip_(config.flip) {
  crop_range_ = config.crop > 0 ? config.size - config.crop + 1 : 1;
  double sum = 0, largest = 0;
  for (size_t i = 0; i < dataset.items.size(); ++i) {
    const double weight = dataset.items[i].weight;
    if (weight <= 0) continue;
    drawable_.push_back(static_cast<int64_t>(i));
    sum += weight;
    largest = std::max(largest, weight);
  }
  check(!drawable_.empty(), "{}: no picture has a weight above 0", dataset.folder.string());
  constexpr double rounding = 1e-9;  // n equal weights make n draws, although their sum is inexact
  epoch_size_ = static_cast<int64_t>(sum / largest * (1 + rounding));
}

void DrawSequence::lay_out(int64_t epoch) {
  if (epoch == epoch_) return;
  order_ = drawable_;
  shuffle(std::span(order_), seed_, Stream::order, static_cast<uint64_t>(epoch) * order_.size());
  ends_.clear();
  double end = 0;
  for (const int64_t item : order_) ends_.push_back(end += dataset_.items[item].weight);
  epoch_ = epoch;
}

Draw DrawSequence::draw(int64_t number) {
  const int64_t epoch = number / epoch_size_, place = number % epoch_size_;
  lay_out(epoch);
  const double shift = random_uniform(seed_, Stream::offset, static_cast<uint64_t>(epoch));
  const double point = (static_cast<double>(place) + shift) * ends_.back() / static_cast<double>(epoch_size_);
  const auto found = std::ranges::upper_bound(ends_, point);
  const size_t index = std::min<size_t>(found - ends_.begin(), order_.size() - 1);  // rounding may pass the last end

  Draw draw{.number = number, .item = order_[index]};
  const auto n = static_cast<uint64_t>(number);
  draw.flip = flip_ && random_below(2, seed_, Stream::flips, n);
  draw.top = static_cast<int64_t>(random_below(crop_range_, seed_, Stream::crops, 2 * n));
  draw.left = static_cast<int64_t>(random_below(crop_range_, seed_, Stream::crops, 2 * n + 1));
  return draw;
}

std::vector<Draw> DrawSequence::draws(int64_t first, int64_t count) {
  std::vector<Draw> draws;
  for (int64_t i = 0; i < count; ++i) draws.push_back(draw(first + i));
  return draws;
}

std::string DrawSequence::caption(const Draw& draw) const {
  const std::vector<Caption>& captions = dataset_.items[draw.item].captions;
  double sum = 0;
  for (const Caption& caption : captions) sum += caption.weight;
  const auto n = static_cast<uint64_t>(draw.number);
  double point = random_uniform(seed_, Stream::captions, n) * sum;
  const Caption* chosen = nullptr;
  for (const Caption& caption : captions) {
    if (caption.weight <= 0) continue;
    chosen = &caption;  // the last one stands when rounding passes all
    if (point < caption.weight) break;
    point -= caption.weight;
  }
  if (chosen->tags.empty()) return chosen->text;
  std::vector<std::string> tags = chosen->tags;
  constexpr uint64_t most_tags = 1024;  // as the reader of data sets accepts
  shuffle(std::span(tags), seed_, Stream::tags, n * most_tags);
  return fmt::format("{}", fmt::join(tags, ", "));
}

}  // namespace baton
