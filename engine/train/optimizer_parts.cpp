#include "engine/train/optimizer_parts.h"

namespace baton {

bool is_block_matrix(const Parameter& p) {
  const bool in_block = p.name.starts_with("blocks.") || p.name.find(".block.") != std::string::npos;
  return in_block && p.value.rank() == 2 && p.name.find("relative_attention_bias") == std::string::npos;
}

std::vector<Tensor> zeros_like(const Parameters& parameters) {
  std::vector<Tensor> zeros;
  for (const Parameter& p : parameters) zeros.push_back(Tensor::zeros(p.value.shape()));
  return zeros;
}

void name_state(Parameters& state, const std::string& kind, const Parameters& parameters,
                const std::vector<Tensor>& values) {
  for (size_t i = 0; i < values.size(); ++i)
    state.push_back({kind + "." + parameters[i].name, values[i], parameters[i].shard, parameters[i].logical});
}

kernels::View average_of(const Averaged& targets, size_t index) {
  if (targets.averages.empty()) return {};
  return targets.averages[index].view();
}

}  // namespace baton
