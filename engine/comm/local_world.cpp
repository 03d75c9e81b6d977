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

// A thread that waits here is known to wait, and so to live.
std::vector<SignsOfLife> World::look(int64_t number) const {
  const int64_t cpu_ms = cpu_ms_of_others();
  std::vector<SignsOfLife> signs;
  for (const Rank& r : ranks_) {
    const bool waiting = !r.waits_for.empty();
    signs.push_back({number, r.beats + (waiting ? number : 0), r.waits, cpu_ms, r.step, waiting, r.ended});
  }
  return signs;
}

bool World::all_ended() const {
  return std::ranges::all_of(ranks_, [](const Rank& rank) { return rank.ended; });
}

std::vector<int> World::watch(double patience, double grace) {
  std::unique_lock lock(mutex_);
  Looks looks;
  for (int64_t number = 1; broken_.empty() && !all_ended(); ++number) {
    if (const std::string found = looks.look(look(number)); !found.empty()) break_up(found);
    changed_.wait_for(lock, Seconds(patience / Looks::in_patience), [&] { return all_ended() || !broken_.empty(); });
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
