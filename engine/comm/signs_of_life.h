#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

// How ranks are judged, whether they are threads or processes: by who is silent, not by who waits, for one that waits
// keeps beating.
namespace baton {

// What one can see of a rank from outside; the counts are of all time.
struct SignsOfLife {
  int64_t heard = 0;     // reports of it; 0: it has not started
  int64_t beats = 0;     // of its main thread (engine/core/heartbeat.h), those while it waits included
  int64_t waits = 0;     // for others, that have ended
  int64_t cpu_ms = 0;    // that its process has used
  int64_t step = -1;     // of the work at hand; -1: not said
  bool waiting = false;  // for others, longer than moving the data takes
  bool ended = false;    // it does nothing any more
};

// The last looks at all ranks.
class Looks {
 public:
  static constexpr int in_patience = 12;

  // To be called `in_patience` times while a rank may show no sign of life. Which one was lost; empty if all is well.
  // As looks are counted and not seconds, a watcher that was stopped itself blames nobody for the time.
  std::string look(std::vector<SignsOfLife> now);

 private:
  std::deque<std::vector<SignsOfLife>> looks_;
};

std::string describe_rank(int rank, int64_t step);  // "rank 2 in step 17"

// What all threads of this process but the calling one have used.
int64_t cpu_ms_of_others();

}  // namespace baton
