#include "engine/train/validation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/train/random_streams.h"

namespace baton {
namespace {

constexpr uint64_t grid_seed = 0;  // the grid is the same for every training

struct Mean {
  double sum = 0;
  int64_t count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  Json json() const { return count > 0 ? Json(sum / static_cast<double>(count)) : Json(); }
};

Json to_json(const std::vector<Mean>& means) {
  Json list = Json::array();
  for (const Mean& mean : means) list.push_back(mean.json());
  return list;
}

}  // namespace

ValidationGrid make_validation_grid(const ValidationData& data, int64_t items, int64_t bins) {
  ValidationGrid grid{.bins = bins};
  items = std::min(items, data.size());
  for (int64_t i = 0; i < items; ++i) {
    const DenoiserSample picture = data.item(i * data.size() / items);
    for (int64_t bin = 0; bin < bins; ++bin) {
      const auto number = static_cast<uint64_t>(i * bins + bin);
      const double within = random_uniform(grid_seed, random_stream(RandomUse::validation_times, number), 0);
      const double t = (static_cast<double>(bin) + within) / static_cast<double>(bins);
      grid.samples.push_back({picture, t, random_stream(RandomUse::validation_noise, number)});
    }
  }
  return grid;
}

std::vector<double> validation_losses(const Mixture& mixture, const ValidationGrid& grid, int64_t batch,
                                      const std::function<void(int64_t)>& done) {
  NoGrad off;
  std::vector<double> losses(grid.samples.size());
  const auto total = static_cast<int64_t>(grid.samples.size());
  for (int64_t first = 0; first < total; first += batch) {
    const std::span slice(grid.samples.data() + first, std::min(batch, total - first));
    for (const ExpertLoss& part : GatedBatch(mixture, slice, slice[0].picture.latents.shape(), grid_seed).losses())
      for (size_t i = 0; i < part.losses.size(); ++i) losses[first + part.samples[i]] = part.losses[i];
    if (done) done(first + std::ssize(slice));
  }
  return losses;
}

Json summarize_validation(const ValidationGrid& grid, const std::vector<double>& losses, const ExpertRanges& ranges) {
  Mean all;
  std::vector<Mean> bins(grid.bins), experts(ranges.count());
  for (size_t i = 0; i < losses.size(); ++i) {
    all.add(losses[i]);
    bins[static_cast<int64_t>(i) % grid.bins].add(losses[i]);
    experts[ranges.expert_of(grid.samples[i].t)].add(losses[i]);
  }
  return {{"loss", all.json()}, {"bins", to_json(bins)}, {"experts", to_json(experts)}};
}

}  // namespace baton
