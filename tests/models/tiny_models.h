#pragma once

#include "engine/models/t5_encoder.h"
#include "engine/models/wan_transformer.h"

// Networks so small that a pass takes milliseconds. They fit each other: the text encoder's states have text_dim.
namespace baton::test {

inline T5EncoderConfig tiny_text_encoder(int64_t vocabulary) {
  return {.vocab_size = vocabulary,
          .d_model = 16,
          .d_kv = 8,
          .d_ff = 24,
          .num_layers = 1,
          .num_heads = 2,
          .gated = true,
          .activation = Activation::gelu_tanh,
          .bias_in_every_layer = true};
}

inline WanTransformerConfig tiny_transformer() {
  return {.num_attention_heads = 2,
          .attention_head_dim = 12,
          .in_channels = 4,
          .out_channels = 4,
          .text_dim = 16,
          .freq_dim = 16,
          .ffn_dim = 32,
          .num_layers = 2};
}

}  // namespace baton::test
