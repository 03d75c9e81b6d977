#pragma once

#include <cstdint>
#include <vector>

namespace baton::reference {

// C [M, N] = A [M, K] B [K, N] in double; element (i, j) of a matrix lies at i * row_step + j * column_step.
struct Matrix {
  const std::vector<float>& values;
  int64_t row_step, column_step;
  double at(int64_t i, int64_t j) const { return values[i * row_step + j * column_step]; }
};

inline std::vector<double> matmul(const Matrix& a, const Matrix& b, int64_t m, int64_t n, int64_t k) {
  std::vector<double> c(m * n, 0.0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j) c[i * n + j] += a.at(i, l) * b.at(l, j);
  return c;
}

}  // namespace baton::reference
