#include "pipelines/expert_cache.h"

namespace baton {

WanTransformer& ExpertCache::get(int expert) {
  auto& slot = loaded_[expert];
  if (!slot) {
    if (!keep_all_) std::erase_if(loaded_, [&](const auto& entry) { return entry.first != expert; });
    if (const auto it = coming_.find(expert); it != coming_.end()) {
      slot = it->second.get();
      coming_.erase(it);
    } else {
      slot = model_.load_expert(expert, compute_, layout_);
    }
  }
  return *slot;
}

void ExpertCache::prefetch(int expert) {
  if (loaded_.contains(expert) || coming_.contains(expert)) return;
  coming_[expert] =
      std::async(std::launch::async, [this, expert] { return model_.load_expert(expert, compute_, layout_); });
}

}  // namespace baton
