#pragma once

#include <cstdint>
#include <string_view>

namespace baton {

// A GPT of the Megatron papers: feed-forward width 4h, dropout, 16-bit activations, attention that stores its scores.
// It is here to check the planner against what is published about such models.
struct GptModel {
  int64_t layers, hidden, heads, sequence, vocabulary;

  double block_parameters() const;  // 12 h^2, as the papers count
  double parameters() const;        // Narayanan et al. 2021, equation 2: with biases, norms and embeddings

  // FLOP of a step over `batch` samples, matrix products only. hardware_flops counts what is recomputed as well: with
  // selective recomputation Korthikanti et al. 2022, equation 8; with full, Narayanan et al. 2021, equation 3.
  double model_flops(double batch) const;
  double hardware_flops_selective(double batch) const;
  double hardware_flops_full(double batch) const;
};

// "layers=96,hidden=12288,heads=96,seq=2048,vocab=51200". InputError for anything else.
GptModel parse_gpt(std::string_view text);

}  // namespace baton
