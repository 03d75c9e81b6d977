#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

// softmax(scale q k^T + bias + log count) v and its gradients, one number at a time in double precision.
namespace baton::reference {

// Contiguous q [B, Tq, H, D], k and v [B, Tk, H, D], bias [H, Tq, Tk] or empty, count [B, Tk] or empty.
struct Attention {
  int64_t B, Tq, Tk, H, D;
  double scale;
  bool causal = false;
  std::vector<double> q, k, v, bias, count;
  // Applied to scores, probabilities, their gradients and every result: a lower precision gives a naive computation in
  // it.
  double (*round)(double) = [](double x) { return x; };

  std::vector<double> out;                                // after forward()
  std::vector<double> grad_q, grad_k, grad_v, grad_bias;  // after backward()

  void forward() {
    out.assign(B * Tq * H * D, 0.0);
    for_each_query([&](int64_t b, int64_t i, int64_t h) {
      const std::vector<double> p = probabilities(b, i, h);
      for (int64_t j = 0; j < Tk; ++j)
        for (int64_t d = 0; d < D; ++d) out[at(b, i, h, d, Tq)] += p[j] * v[at(b, j, h, d, Tk)];
    });
    round_all(out);
  }

  void backward(const std::vector<double>& grad_out) {
    grad_q.assign(q.size(), 0.0);
    grad_k.assign(k.size(), 0.0);
    grad_v.assign(v.size(), 0.0);
    grad_bias.assign(H * Tq * Tk, 0.0);
    for_each_query([&](int64_t b, int64_t i, int64_t h) {
      const std::vector<double> p = probabilities(b, i, h);
      std::vector<double> dp(Tk, 0.0);
      double delta = 0;
      for (int64_t j = 0; j < Tk; ++j) {
        for (int64_t d = 0; d < D; ++d) {
          dp[j] += grad_out[at(b, i, h, d, Tq)] * v[at(b, j, h, d, Tk)];
          grad_v[at(b, j, h, d, Tk)] += p[j] * grad_out[at(b, i, h, d, Tq)];
        }
        dp[j] = round(dp[j]);
        delta += p[j] * dp[j];
      }
      for (int64_t j = 0; j < Tk; ++j) {
        const double ds = round(p[j] * (dp[j] - delta));
        grad_bias[(h * Tq + i) * Tk + j] += ds;
        for (int64_t d = 0; d < D; ++d) {
          grad_q[at(b, i, h, d, Tq)] += scale * ds * k[at(b, j, h, d, Tk)];
          grad_k[at(b, j, h, d, Tk)] += scale * ds * q[at(b, i, h, d, Tq)];
        }
      }
    });
    for (auto* grad : {&grad_q, &grad_k, &grad_v, &grad_bias}) round_all(*grad);
  }

 private:
  void round_all(std::vector<double>& values) const {
    for (double& value : values) value = round(value);
  }

  int64_t at(int64_t b, int64_t t, int64_t h, int64_t d, int64_t T) const { return ((b * T + t) * H + h) * D + d; }

  template <typename Body>
  void for_each_query(const Body& body) const {
    for (int64_t b = 0; b < B; ++b)
      for (int64_t i = 0; i < Tq; ++i)
        for (int64_t h = 0; h < H; ++h) body(b, i, h);
  }

  // Of every key for query i; all zero if it sees none.
  std::vector<double> probabilities(int64_t b, int64_t i, int64_t h) const {
    std::vector<double> p(Tk, 0.0);
    std::vector<double> score(Tk, -INFINITY);
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < Tk; ++j) {
      const double times = count.empty() ? 1 : count[b * Tk + j];
      if (times == 0 || (causal && j > i)) continue;
      double dot = 0;
      for (int64_t d = 0; d < D; ++d) dot += q[at(b, i, h, d, Tq)] * k[at(b, j, h, d, Tk)];
      score[j] = round(scale * dot + (bias.empty() ? 0 : bias[(h * Tq + i) * Tk + j]) + std::log(times));
      largest = std::max(largest, score[j]);
    }
    if (largest == -INFINITY) return p;
    for (int64_t j = 0; j < Tk; ++j) sum += p[j] = std::exp(score[j] - largest);
    for (double& value : p) value = round(value / sum);
    return p;
  }
};

}  // namespace baton::reference
