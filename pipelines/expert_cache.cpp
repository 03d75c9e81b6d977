#include "pipelines/expert_cache.h"

#include "engine/core/thread_budget.h"

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
  // Beside the kernels of the step one thread is enough; with a single thread in all it is read when it is needed.
  const auto when = kernels::cpu::machine().threads > 1 ? std::launch::async : std::launch::deferred;
  coming_[expert] =
      std::async(when, ThreadBudget(1).bound([this, expert] { return model_.load_expert(expert, compute_, layout_); }));
}

}  // namespace baton
