#include "engine/comm/local_world.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/core/error.h"

namespace baton::local {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

void World::break_up(const std::string& reason) {
  if (broken_.empty()) broken_ = reason;
  changed_.notify_all();
}

void World::give_up(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  break_up(reason);
}

std::string World::reason() {
  const std::lock_guard lock(mutex_);
  return broken_;
}

void World::end(int rank) {
  const std::lock_guard lock(mutex_);
  ranks_[rank].ended = true;
  changed_.notify_all();
}

std::string World::describe(int rank) const {
  const int64_t step = ranks_[rank].step;
  return step >= 0 ? fmt::format("rank {} in step {}", rank, step) : fmt::format("rank {}", rank);
}

void World::wait(std::unique_lock<std::mutex>& lock, int rank, const std::string& what,
                 const std::function<bool()>& done) {
  ranks_[rank].waits_for = what;
  // Most waits are shorter than going to sleep and being woken.
  for (const auto start = Clock::now(); !done() && broken_.empty() && Clock::now() - start < Seconds(50e-6);) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  changed_.wait(lock, [&] { return done() || !broken_.empty(); });
  ranks_[rank].waits_for.clear();
  ++waits_done_;
  if (!broken_.empty()) throw RunError(broken_);
}

World::Look World::look() const {
  Look look{{}, waits_done_};
  for (const Rank& rank : ranks_) look.beats.push_back(rank.beats);
  return look;
}

bool World::all_ended() const {
  return std::ranges::all_of(ranks_, [](const Rank& rank) { return rank.ended; });
}

// Which rank the others wait for in vain; empty if all is well.
std::string World::trouble(const Look& before, const Look& now) const {
  for (size_t i = 0; i < ranks_.size(); ++i)
    if (!ranks_[i].ended && ranks_[i].waits_for.empty() && now.beats[i] == before.beats[i] && before.waits == now.waits)
      return describe(static_cast<int>(i)) + " hangs";
  if (before != now) return "";
  for (size_t i = 0; i < ranks_.size(); ++i)  // all wait
    if (ranks_[i].ended) return describe(static_cast<int>(i)) + " ended while others wait for it";
  return fmt::format("all ranks wait for each other, rank 0 for {}", ranks_[0].waits_for);
}

std::vector<int> World::watch(double patience, double grace) {
  std::unique_lock lock(mutex_);
  Look before = look();
  while (broken_.empty() && !all_ended()) {
    if (changed_.wait_for(lock, Seconds(patience), [&] { return all_ended() || !broken_.empty(); })) break;
    const Look now = look();
    if (const std::string found = trouble(before, now); !found.empty()) break_up(found);
    before = now;
  }
  changed_.wait_for(lock, Seconds(grace), [&] { return all_ended(); });
  std::vector<int> left;
  for (size_t i = 0; i < ranks_.size(); ++i)
    if (!ranks_[i].ended) left.push_back(static_cast<int>(i));
  return left;
}

std::shared_ptr<void> World::open(const std::string& key, const std::function<std::shared_ptr<void>()>& make) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<void>& entry = opened_[key];
  if (!entry) entry = make();
  return entry;
}

}  // namespace baton::local
