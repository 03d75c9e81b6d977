#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace baton {

// automatic: a bar where stderr is a terminal, else a plain line every half minute.
enum class ProgressMode { automatic, bar, json, none };

// "auto", "bar", "json" or "none"; InputError for anything else.
ProgressMode parse_progress_mode(const std::string& text);

// Says on stderr how far a long task is, with the time per item and the time left.
//   Progress progress(mode, "train", steps);
//   progress.update(step, {{"loss", 0.31}});     train  12/100 [==>      ] loss 0.31, 0.52 s/it, 0:45 left
// As JSON: {"task":"train","done":12,"total":100,"loss":0.31,"seconds_per_item":0.52,"seconds_left":45.8}
class Progress {
 public:
  using Fields = std::vector<std::pair<std::string, double>>;

  // `task` and the names of fields are words of the program, without quotes. `done` items were finished before (a
  // resumed run): they do not count for the speed.
  Progress(ProgressMode mode, std::string task, int64_t total, int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, const Fields& fields = {});

 private:
  using Clock = std::chrono::steady_clock;
  void show_bar(int64_t done, const std::string& tail);

  ProgressMode mode_;
  bool terminal_;
  std::string task_;
  int64_t total_, first_;
  Clock::time_point start_, shown_;
  bool bar_open_ = false;
};

// Seconds as "0:45", "12:03" or "3:20:00".
std::string format_duration(double seconds);

}  // namespace baton
