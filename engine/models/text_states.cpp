#include "engine/models/text_states.h"

#include <algorithm>
#include <array>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {

namespace {

// The texts of each rank of a pipeline stage. (Stages come to a batch at different times, so each encodes all texts.)
class Shares {
 public:
  Shares(const Layout& layout, int64_t texts) : layout_(layout), sizes_{texts} {
    for (Axis axis : axes) {
      const Group& group = layout.on(axis);
      sizes_.push_back(even_parts(sizes_.back(), group.size())[group.rank()]);
    }
  }

  Tensor mine(Tensor x) const {
    for (Axis axis : axes) x = own_part(x, 0, layout_.on(axis));
    return x;
  }

  // Ranks with parts of the sequence have a part of the gradient each; without sequence parallelism those of tp have
  // all of it.
  Tensor all(Tensor x) const {
    for (size_t i = axes.size(); i-- > 0;) {
      Group& group = layout_.on(axes[i]);
      const bool complete = axes[i] == Axis::tp && !layout_.sequence_parallel();
      x = complete ? collect(x, 0, sizes_[i], group) : all_gather(x, 0, sizes_[i], group);
    }
    return x;
  }

 private:
  static constexpr std::array axes{Axis::tp, Axis::ulysses, Axis::ring};
  const Layout& layout_;
  std::vector<int64_t> sizes_;  // all texts, then this rank's share after each axis
};

}  // namespace

TextStates encode_texts(const TextEncoder& encoder, const std::vector<std::vector<int32_t>>& texts, int64_t max_length,
                        const Layout& layout) {
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
  const Shares shares(layout, items);
  const Tensor my_ids = shares.mine(ids), my_present = shares.mine(present);
  Tensor states = Tensor::zeros(
      {0, positions, encoder.width()});  // of a rank without a text, which still has a part in the gradients
  if (my_ids.dim(0) > 0)
    states = encoder.encode(my_ids, my_present) * reshape(my_present, {my_ids.dim(0), positions, 1});
  else
    states.set_requires_grad(grad_enabled());
  return {shares.all(states), count};
}

}  // namespace baton
