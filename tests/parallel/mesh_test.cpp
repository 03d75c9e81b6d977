#include "engine/parallel/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Mesh mesh(std::string_view text, int ranks, std::vector<double> loads = {}) {
  return Mesh(parse_mesh(text), ranks, loads);
}

TEST(Mesh, LaterAxesAreNeighbours) {
  const Mesh m = mesh("dp=2,pp=2,tp=2", 8);
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_EQ(m.coordinate(Axis::tp, rank), rank % 2);
    EXPECT_EQ(m.coordinate(Axis::dp, rank), rank / 2 % 2);
    EXPECT_EQ(m.coordinate(Axis::pp, rank), rank / 4);
    EXPECT_EQ(m.coordinate(Axis::ring, rank), 0);
  }
  EXPECT_THAT(m.peers(5, {Axis::tp}), ElementsAre(4, 5));
  EXPECT_THAT(m.peers(5, {Axis::dp}), ElementsAre(5, 7));
  EXPECT_THAT(m.peers(5, {Axis::pp}), ElementsAre(1, 5));
  EXPECT_THAT(m.peers(5, {Axis::pp, Axis::tp}), ElementsAre(0, 1, 4, 5));
}

TEST(Mesh, ReplicasFillTheRanks) {
  EXPECT_EQ(mesh("tp=2", 6).size(Axis::dp, 0), 3);
  EXPECT_EQ(mesh("tp=2", 6).describe(), "dp=3,tp=2");
  EXPECT_EQ(mesh("", 1).ranks(), 1);
}

TEST(Mesh, ExpertGroupsAreSizedByLoad) {
  const Mesh m = mesh("ep=2,tp=2", 8, {0.2, 0.8});
  EXPECT_THAT(m.replicas(), ElementsAre(1, 3));
  EXPECT_EQ(m.describe(), "ep=1:3,tp=2");
  EXPECT_EQ(m.size(Axis::dp, 1), 1);
  EXPECT_EQ(m.size(Axis::dp, 2), 3);
  EXPECT_EQ(m.coordinate(Axis::ep, 1), 0);
  EXPECT_EQ(m.coordinate(Axis::ep, 2), 1);
  EXPECT_EQ(m.coordinate(Axis::dp, 7), 2);
  EXPECT_THAT(m.peers(5, {Axis::dp}), ElementsAre(3, 5, 7));
  EXPECT_THAT(m.peers(0, {Axis::dp}), ElementsAre(0));
  EXPECT_THAT(mesh("ep=2:1", 3).replicas(), ElementsAre(2, 1));
}

TEST(Mesh, ByLoadGivesEveryGroupOne) {
  EXPECT_THAT(by_load(4, std::vector{0.001, 0.999}), ElementsAre(1, 3));
  EXPECT_THAT(by_load(6, std::vector{1.0, 1.0, 1.0}), ElementsAre(2, 2, 2));
  EXPECT_THROW(by_load(1, std::vector{1.0, 1.0}), InputError);
}

TEST(Mesh, SpecsReadBack) {
  for (const char* text : {"pp=2,dp=2,tp=4", "ep=1:3,ulysses=2", "cfg=2,ring=3", "dp=1"})
    EXPECT_EQ(to_string(parse_mesh(text)), text);
  EXPECT_EQ(parse_mesh("ep=1:3,ulysses=2").ranks(), 8);
  EXPECT_EQ(parse_mesh("ep=1:3,ulysses=2").cell(), 2);
}

TEST(Mesh, RefusesWithAdvice) {
  const auto message = [](auto call, const char* text) {
    EXPECT_THAT(call, ThrowsMessage<InputError>(HasSubstr(text)));
  };
  message([] { mesh("tp=3", 4); }, "one replica takes 3 ranks, so 3 or 6 ranks would fit");
  message([] { mesh("tp=2,dp=3", 8); }, "takes 6 ranks, there are 8; dp=4 would fit");
  message([] { parse_mesh("tq=2"); }, "there is no axis 'tq'; axes are ep, pp, dp");
  message([] { parse_mesh("tp=2,tp=2"); }, "given twice");
  message([] { parse_mesh("tp=0"); }, "tp=0, expected a whole number");
  message([] { parse_mesh("tp"); }, "expected AXIS=SIZE");
  message([] { parse_mesh("cfg=3"); }, "two halves");
  message([] { parse_mesh("ep=1:2,dp=2"); }, "leave dp out");
  message([] { parse_mesh("tp=1048576,dp=1048576"); }, "at most");
  message([] { mesh("ep=3", 2, {1, 1, 1}); }, "2 replicas for 3 groups");
}

}  // namespace
}  // namespace baton
