#include "engine/comm/signs_of_life.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton {

std::string describe_rank(int rank, int64_t step) {
  return step >= 0 ? fmt::format("rank {} in step {}", rank, step) : fmt::format("rank {}", rank);
}

std::string find_trouble(std::span<const SignsOfLife> before, std::span<const SignsOfLife> now) {
  const auto name = [&](size_t i) { return describe_rank(static_cast<int>(i), now[i].step); };
  const auto same_waits = [](const SignsOfLife& a, const SignsOfLife& b) { return a.waits == b.waits; };
  if (!std::ranges::equal(before, now, same_waits)) return "";  // someone goes on
  for (size_t i = 0; i < now.size(); ++i)
    if (!now[i].ended && !now[i].waiting && now[i] == before[i]) return name(i) + " hangs";
  if (!std::ranges::equal(before, now)) return "";
  for (size_t i = 0; i < now.size(); ++i)  // all wait
    if (now[i].ended) return name(i) + " ended while others wait for it";
  return "all ranks wait for each other";
}

}  // namespace baton
