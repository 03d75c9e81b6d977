#include "engine/models/text_states.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"

namespace baton {

TextStates encode_texts(const TextEncoder& encoder, const std::vector<std::vector<int32_t>>& texts,
                        int64_t max_length) {
  int64_t longest = 0;
  for (const auto& text : texts) {
    const auto tokens = static_cast<int64_t>(text.size());
    check(tokens > 0 && tokens <= max_length, "text: {} tokens, expected 1 to {}", tokens, max_length);
    longest = std::max(longest, tokens);
  }
  const auto items = static_cast<int64_t>(texts.size());
  const int64_t positions = longest + 1;
  const Tensor ids = Tensor::zeros({items, positions}, DType::i32), present = Tensor::zeros({items, positions}),
               count = Tensor::zeros({items, positions});
  for (int64_t i = 0; i < items; ++i) {
    const auto tokens = static_cast<int64_t>(texts[i].size());
    std::copy(texts[i].begin(), texts[i].end(), ids.data<int32_t>() + i * positions);
    std::fill_n(present.data<float>() + i * positions, tokens, 1.0f);
    std::fill_n(count.data<float>() + i * positions, tokens, 1.0f);
    count.data<float>()[i * positions + tokens] = static_cast<float>(max_length - tokens);
  }
  const Tensor states = encoder.encode(ids, present);
  return {states * present.alias({items, positions, 1}), count};
}

}  // namespace baton
