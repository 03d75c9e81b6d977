#pragma once

#include <cstdint>
#include <vector>

namespace baton::reference {

struct ConvSizes {
  int64_t batch, height, width, in, out, kernel_height, kernel_width;
  int stride, top, bottom, left, right;

  int64_t out_height() const { return (height + top + bottom - kernel_height) / stride + 1; }
  int64_t out_width() const { return (width + left + right - kernel_width) / stride + 1; }
};

// The definition of kernels/conv.h in double; x [B, H, W, I], weight [O, I, kh, kw], result [B, H', W', O]; bias may be
// empty.
inline std::vector<double> conv2d(const ConvSizes& s, const std::vector<float>& x, const std::vector<float>& weight,
                                  const std::vector<float>& bias) {
  std::vector<double> y;
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t i = 0; i < s.out_height(); ++i)
      for (int64_t j = 0; j < s.out_width(); ++j)
        for (int64_t o = 0; o < s.out; ++o) {
          double sum = bias.empty() ? 0 : bias[o];
          for (int64_t c = 0; c < s.in; ++c)
            for (int64_t u = 0; u < s.kernel_height; ++u)
              for (int64_t v = 0; v < s.kernel_width; ++v) {
                const int64_t row = i * s.stride + u - s.top, column = j * s.stride + v - s.left;
                if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
                sum += static_cast<double>(x[((b * s.height + row) * s.width + column) * s.in + c]) *
                       weight[((o * s.in + c) * s.kernel_height + u) * s.kernel_width + v];
              }
          y.push_back(sum);
        }
  return y;
}

}  // namespace baton::reference
