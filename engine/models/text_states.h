#pragma once

#include <cstdint>
#include <vector>

#include "engine/models/text_encoder.h"
#include "engine/parallel/layout.h"

namespace baton {

// Texts as a denoiser of the Wan family reads them: the encoder's states of the tokens, then zeros up to a fixed
// length. The zeros are all the same vector, so they are kept once, with their number.
struct TextStates {
  Tensor states;  // [B, L + 1, D] f32, L = the longest text's tokens; zeros behind a text's own
  Tensor count;   // [B, L + 1] f32: 1 for a token, max_length - tokens for the first position behind them, 0 beyond
};

// Token ids of each text (at least one, at most max_length) through the encoder in one batch. The ranks of a
// pipeline stage encode a share of the texts each and give it to the others: the encoder's gradients are to be summed
// over all ranks.
TextStates encode_texts(const TextEncoder& encoder, const std::vector<std::vector<int32_t>>& texts, int64_t max_length,
                        const Layout& layout = {});

}  // namespace baton
