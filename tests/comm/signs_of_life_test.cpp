#include "engine/comm/signs_of_life.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace baton {
namespace {

using Ranks = std::vector<SignsOfLife>;

// All of these are as a rank that computes would be: heard, beating, using the CPU.
void work(SignsOfLife& rank) { ++rank.heard, ++rank.beats, rank.cpu_ms += 500; }
void wait(SignsOfLife& rank) { work(rank), rank.waiting = true; }

// What is found within twice the patience, if `between` is what happens from one look to the next.
std::string found(Ranks ranks, const std::function<void(Ranks& ranks)>& between) {
  Looks looks;
  for (int i = 0; i <= 2 * Looks::in_patience; ++i) {
    if (std::string trouble = looks.look(ranks); !trouble.empty()) return trouble;
    between(ranks);
  }
  return "";
}

TEST(SignsOfLife, WorkingRanksAreLeftAlone) {
  EXPECT_EQ(found(Ranks(3), [](Ranks& ranks) { std::ranges::for_each(ranks, work); }), "");
}

TEST(SignsOfLife, OneThatComputesWithoutABeatIsLeftAloneUntilAllWaitForIt) {
  const auto compute = [](SignsOfLife& rank) { ++rank.heard, rank.cpu_ms += 500; };
  EXPECT_EQ(found(Ranks(2), [&](Ranks& ranks) { std::ranges::for_each(ranks, compute); }), "");
  const auto other_goes_on = [&](Ranks& ranks) { compute(ranks[1]), wait(ranks[0]), ++ranks[0].waits; };
  EXPECT_EQ(found(Ranks(2), other_goes_on), "");
  EXPECT_EQ(found(Ranks(2), [&](Ranks& ranks) { compute(ranks[1]), wait(ranks[0]); }), "rank 1 hangs");
}

TEST(SignsOfLife, OneThatDoesNothingHangsThoughNobodyWaits) {
  EXPECT_EQ(found(Ranks(2), [](Ranks& ranks) { work(ranks[0]), ++ranks[1].heard; }), "rank 1 hangs");
}

TEST(SignsOfLife, OneThatHangsWhileItWaitsIsNamed) {
  const auto between = [](Ranks& ranks) {
    wait(ranks[0]), wait(ranks[2]);
    ranks[1].waiting = true, ranks[1].step = 4, ++ranks[1].heard;
  };
  EXPECT_EQ(found(Ranks(3), between), "rank 1 in step 4 hangs");
}

TEST(SignsOfLife, TheSilentOneIsNamedNotThoseThatWait) {
  const Ranks begun(3, {.heard = 5, .step = 7, .waiting = true});
  EXPECT_EQ(found(begun, [](Ranks& ranks) { wait(ranks[1]), wait(ranks[2]); }), "rank 0 in step 7 does not answer");
  EXPECT_EQ(found(begun, [](Ranks& ranks) { wait(ranks[0]); }),
            "rank 1 in step 7 does not answer, rank 2 in step 7 does not answer");
}

TEST(SignsOfLife, OneWhoseSilenceBeganAfterTheOthersWaitedIsWaitedFor) {
  Looks looks;
  Ranks ranks(2, {.heard = 1, .waiting = true});
  for (int i = 0; i <= Looks::in_patience; ++i) {
    EXPECT_EQ(looks.look(ranks), "");
    wait(ranks[0]);
    if (i < 3) wait(ranks[1]);
  }
}

TEST(SignsOfLife, OneThatHasNotStartedIsNamed) {
  EXPECT_EQ(found(Ranks(2), [](Ranks& ranks) { wait(ranks[0]); }), "rank 1 has not started");
}

TEST(SignsOfLife, AllThatWaitForEachOther) {
  EXPECT_EQ(found(Ranks(2), [](Ranks& ranks) { std::ranges::for_each(ranks, wait); }), "all ranks wait for each other");
  Ranks one_ended(2);
  one_ended[1].ended = true;
  EXPECT_EQ(found(one_ended, [](Ranks& ranks) { wait(ranks[0]); }), "rank 1 ended while others wait for it");
  one_ended[0].ended = true;
  EXPECT_EQ(found(one_ended, [](Ranks&) {}), "");
}

}  // namespace
}  // namespace baton
