#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/comm/signs_of_life.h"

// What the threads of run_ranks() share. One mutex for everything: messages are few and large.
namespace baton::local {

class World {
 public:
  explicit World(int ranks) : ranks_(ranks) {}

  std::mutex& mutex() { return mutex_; }
  // Call with the mutex held, after anything that a wait may be for.
  void notify() {
    ++changes_;
    changed_.notify_all();
  }
  // Waits as `rank` until done(). Throws RunError once somebody has given up.
  void wait(std::unique_lock<std::mutex>& lock, int rank, const std::string& what, const std::function<bool()>& done);
  // Waits for something near that comes about even if somebody has given up.
  void wait_anyway(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done) { changed_.wait(lock, done); }
  // Makes every wait throw RunError(reason). The first reason stays.
  void give_up(const std::string& reason);

  std::string reason();  // of giving up; empty if nobody did

  std::atomic<int64_t>& beats(int rank) { return ranks_[rank].beats; }
  void set_step(int rank, int64_t step) { ranks_[rank].step = step; }
  std::string describe(int rank) const { return describe_rank(rank, ranks_[rank].step); }
  void end(int rank);  // it does nothing any more

  // Returns when all ranks have ended, or `grace` seconds after somebody gave up. Gives up itself when for `patience`
  // seconds a rank shows no sign of life, or all wait for each other. Returns the ranks that have not ended.
  std::vector<int> watch(double patience, double grace);

  // What several ranks open together under one key: the first makes it.
  std::shared_ptr<void> open(const std::string& key, const std::function<std::shared_ptr<void>()>& make);

 private:
  struct Rank {
    std::atomic<int64_t> beats = 0, step = -1;
    int64_t waits = 0;      // that have ended
    std::string waits_for;  // empty: it works
    bool ended = false;
  };
  std::vector<SignsOfLife> look(int64_t number) const;
  bool all_ended() const;
  void break_up(const std::string& reason);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int64_t> changes_ = 0;
  std::vector<Rank> ranks_;
  std::string broken_;  // why nobody can go on; empty: nothing is
  std::map<std::string, std::shared_ptr<void>> opened_;
};

}  // namespace baton::local
