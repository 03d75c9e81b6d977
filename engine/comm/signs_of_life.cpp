#include "engine/comm/signs_of_life.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace baton {
namespace {

using Ranks = std::vector<SignsOfLife>;

using Condition = std::function<bool(const SignsOfLife& then, const SignsOfLife& now)>;

// "rank 2 in step 17 hangs" of each rank for which two looks at it meet a condition; empty: of none.
std::string each(const Ranks& then, const Ranks& now, const char* what, const Condition& holds) {
  std::vector<std::string> found;
  for (size_t i = 0; i < now.size(); ++i)
    if (!now[i].ended && holds(then[i], now[i]))
      found.push_back(describe_rank(static_cast<int>(i), now[i].step) + what);
  return fmt::format("{}", fmt::join(found, ", "));
}

bool silent(const SignsOfLife& then, const SignsOfLife& now) { return then.heard == now.heard; }

// A look, the one before it, and one long ago.
std::string find_trouble(const Ranks& old, const Ranks& before, const Ranks& now) {
  const auto absent = [](const SignsOfLife&, const SignsOfLife& now) { return now.heard == 0; };
  if (std::string found = each(old, now, " has not started", absent); !found.empty()) return found;
  if (std::string found = each(old, now, " does not answer", silent); !found.empty()) return found;
  if (!each(before, now, "", silent).empty()) return "";  // nothing is known of it now

  constexpr int64_t idle_ms = 20;
  const auto same_waits = [](const SignsOfLife& a, const SignsOfLife& b) { return a.waits == b.waits; };
  const bool nobody_goes_on =
      std::ranges::equal(old, now, same_waits) && std::ranges::any_of(now, &SignsOfLife::waiting);
  // What computes without a beat, as a large product does, is left alone until it is all that the others wait for.
  const auto stuck = [&](const SignsOfLife& then, const SignsOfLife& now) {
    return now.beats == then.beats && same_waits(then, now) && (nobody_goes_on || now.cpu_ms - then.cpu_ms < idle_ms);
  };
  if (std::string found = each(old, now, " hangs", stuck); !found.empty()) return found;

  const auto in_vain = [](const SignsOfLife& rank) { return rank.waiting || rank.ended; };
  if (!nobody_goes_on || !std::ranges::all_of(old, in_vain) || !std::ranges::all_of(now, in_vain)) return "";
  for (size_t i = 0; i < now.size(); ++i)
    if (now[i].ended) return describe_rank(static_cast<int>(i), now[i].step) + " ended while others wait for it";
  return "all ranks wait for each other";
}

int64_t milliseconds(const timeval& time) { return time.tv_sec * int64_t{1000} + time.tv_usec / 1000; }

int64_t cpu_ms(int whose) {
  rusage usage{};
  getrusage(whose, &usage);
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

}  // namespace

std::string Looks::look(Ranks now) {
  looks_.push_back(std::move(now));
  if (looks_.size() <= in_patience) return "";
  const std::string found = find_trouble(looks_.front(), looks_[in_patience - 1], looks_.back());
  looks_.pop_front();
  return found;
}

std::string describe_rank(int rank, int64_t step) {
  return step >= 0 ? fmt::format("rank {} in step {}", rank, step) : fmt::format("rank {}", rank);
}

int64_t cpu_ms_of_others() { return cpu_ms(RUSAGE_SELF) - cpu_ms(RUSAGE_THREAD); }

}  // namespace baton
