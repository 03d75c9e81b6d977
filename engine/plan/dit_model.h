#pragma once

#include <optional>
#include <vector>

#include "engine/config/train_config.h"

namespace baton {

// A mixture of denoisers in training, as far as memory and time depend on it.
struct DitModel {
  WanTransformerConfig transformer;  // of each expert
  int64_t tokens = 0;                // of a picture or video
  int64_t text_tokens = 0;           // of the longest text, with the one position that stands for all padding
  std::vector<double> shares{1};     // of the samples, for each expert
  bool turns = false;                // each step trains one expert
  std::optional<T5EncoderConfig> text_encoder;  // if it is trained along
  DType compute = DType::bf16;                  // of products
  bool muon = false;                            // takes the blocks' matrices
  bool ema = false;

  int64_t experts() const { return std::ssize(shares); }
  double bytes() const { return static_cast<double>(size_of(compute)); }  // of a value that products read
};

// Parameters of one expert. Matrices of the blocks and `sharded` vectors are divided over tp, the rest is whole.
struct DitParameters {
  double block_matrices, block_sharded, block_whole, outside;

  double block() const { return block_matrices + block_sharded + block_whole; }
};
DitParameters parameters_of(const WanTransformerConfig& config);

// Of the text encoder: those in the matrices of its blocks, and all others.
struct TextEncoderParameters {
  double block_matrices, others;
};
TextEncoderParameters parameters_of(const T5EncoderConfig& config);

}  // namespace baton
