#pragma once

#include "engine/plan/dit_model.h"

namespace baton::test {

// Sizes whose tensors the allocator rounds up little.
inline DitModel small_dit(DType compute, int64_t layers, int64_t text_tokens) {
  return {.transformer = {.num_attention_heads = 4,
                          .attention_head_dim = 32,
                          .in_channels = 4,
                          .out_channels = 4,
                          .text_dim = 48,
                          .freq_dim = 64,
                          .ffn_dim = 352,
                          .num_layers = layers},
          .tokens = 12 * 16,
          .text_tokens = text_tokens,
          .compute = compute};
}

}  // namespace baton::test
