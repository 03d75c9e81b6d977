#include "engine/train/vae_report.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/ops/finite.h"

namespace baton {
namespace {

constexpr int64_t report_batch = 16;

double psnr_of(double mean_squared_error) {
  constexpr double range = 2;  // values lie in [-1, 1]
  return 10 * std::log10(range * range / std::max(mean_squared_error, 1e-12));
}

// Sums of each channel of the latents, for mean and standard deviation.
struct ChannelSums {
  std::vector<double> sum, square;
  int64_t count = 0;

  explicit ChannelSums(int64_t channels) : sum(channels), square(channels) {}

  void add(const Tensor& latents) {  // [B, C, 1, h, w]
    const int64_t channels = latents.dim(1), area = latents.dim(3) * latents.dim(4);
    const float* values = latents.data<float>();
    for (int64_t plane = 0; plane < latents.dim(0) * channels; ++plane)
      for (int64_t i = 0; i < area; ++i) {
        const double value = values[plane * area + i];
        sum[plane % channels] += value;
        square[plane % channels] += value * value;
      }
    count += latents.dim(0) * area;
  }
  std::vector<float> means() const {
    std::vector<float> result;
    for (double s : sum) result.push_back(static_cast<float>(s / static_cast<double>(count)));
    return result;
  }
  std::vector<float> deviations() const {
    std::vector<float> result;
    const auto n = static_cast<double>(count);
    for (size_t c = 0; c < sum.size(); ++c)
      result.push_back(static_cast<float>(std::sqrt(std::max(square[c] / n - sum[c] / n * sum[c] / n, 1e-12))));
    return result;
  }
};

double squared_error(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = std::clamp(a[i], -1.0f, 1.0f) - b[i];
    sum += difference * difference;
  }
  return sum / static_cast<double>(count);
}

}  // namespace

VaeReport report_vae(const WanVae& vae, PictureData& data, int64_t items, const std::function<void(int64_t)>& done) {
  NoGrad off;
  items = std::min(items, data.size());
  ChannelSums sums(vae.config().z_dim);
  VaeReport report;
  double error = 0;
  for (int64_t first = 0; first < items; first += report_batch) {
    const int64_t count = std::min(report_batch, items - first);
    std::vector<int64_t> indices(count);
    for (int64_t i = 0; i < count; ++i) indices[i] = (first + i) * data.size() / items;
    const Tensor pictures = data.items(indices);
    const Tensor latents = vae.encode(pictures).mean;
    sums.add(latents);
    const Tensor decoded = vae.decode(latents);
    check_finite(decoded, "autoencoder: a decoded picture");
    const int64_t size = pictures.numel() / count;
    for (int64_t i = 0; i < count; ++i) {
      const double each = squared_error(decoded.data<float>() + i * size, pictures.data<float>() + i * size, size);
      report.psnr_each.push_back(psnr_of(each));
      error += each / static_cast<double>(items);
    }
    if (done) done(first + count);
  }
  report.psnr = psnr_of(error);
  report.latents_mean = sums.means();
  report.latents_std = sums.deviations();
  return report;
}

}  // namespace baton
