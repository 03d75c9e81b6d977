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

void World::wait(std::unique_lock<std::mutex>& lock, int rank, const std::string& what,
                 const std::function<bool()>& done) {
  ranks_[rank].waits_for = what;
  // Most waits are shorter than going to sleep and being woken.
  const auto start = Clock::now();
  const auto patient = [&] { return Clock::now() - start < Seconds(100e-6); };
  while (!done() && broken_.empty() && patient()) {
    const int64_t seen = changes_;
    lock.unlock();
    while (changes_ == seen && patient()) {  // yielding would cost more
    }
    lock.lock();
  }
  changed_.wait(lock, [&] { return done() || !broken_.empty(); });
  ranks_[rank].waits_for.clear();
  ++ranks_[rank].waits;
  if (!broken_.empty()) throw RunError(broken_);
}

std::vector<SignsOfLife> World::look() const {
  std::vector<SignsOfLife> signs;
  for (const Rank& r : ranks_) signs.push_back({r.beats, r.waits, r.step, !r.waits_for.empty(), r.ended});
  return signs;
}

bool World::all_ended() const {
  return std::ranges::all_of(ranks_, [](const Rank& rank) { return rank.ended; });
}

std::vector<int> World::watch(double patience, double grace) {
  std::unique_lock lock(mutex_);
  std::vector<SignsOfLife> before = look();
  while (broken_.empty() && !all_ended()) {
    if (changed_.wait_for(lock, Seconds(patience), [&] { return all_ended() || !broken_.empty(); })) break;
    std::vector<SignsOfLife> now = look();
    if (const std::string found = find_trouble(before, now); !found.empty()) break_up(found);
    before = std::move(now);
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
