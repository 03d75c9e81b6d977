#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace baton::test {

// Rows of d values, one after the other: z = (x - mean) / divisor * scale[column] + shift[column].
struct NormReference {
  int64_t d;
  bool centred = false;
  std::function<double(double mean_square)> divisor;
  bool silu = false;

  // scale, shift: values for (row, column)
  std::vector<double> operator()(const std::vector<double>& x, const std::function<double(size_t, size_t)>& scale,
                                 const std::function<double(size_t, size_t)>& shift) const {
    std::vector<double> y(x.size());
    const size_t n = static_cast<size_t>(d);
    for (size_t row = 0; row < x.size() / n; ++row) {
      double mean = 0, square = 0;
      for (size_t i = 0; i < n; ++i) mean += x[row * n + i] / static_cast<double>(d);
      if (!centred) mean = 0;
      for (size_t i = 0; i < n; ++i) square += std::pow(x[row * n + i] - mean, 2) / static_cast<double>(d);
      for (size_t i = 0; i < n; ++i) {
        const double z = (x[row * n + i] - mean) / divisor(square) * scale(row, i) + shift(row, i);
        y[row * n + i] = silu ? z / (1 + std::exp(-z)) : z;
      }
    }
    return y;
  }
};

}  // namespace baton::test
