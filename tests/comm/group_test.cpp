#include "engine/comm/group.h"

#include <gtest/gtest.h>

#include <new>
#include <numeric>

#include "engine/core/error.h"
#include "tests/comm/on_ranks.h"

namespace baton {
namespace {

// Part i of n has i % 3 values: also none.
std::vector<int64_t> uneven_counts(int n) {
  std::vector<int64_t> counts(n);
  for (int i = 0; i < n; ++i) counts[i] = i % 3;
  return counts;
}

int64_t sum(const std::vector<int64_t>& counts) { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

// Value i of rank r.
float value(int rank, int64_t i) { return static_cast<float>(100 * rank + i) + 0.25f; }

std::vector<float> values_of(int rank, int64_t count) {
  std::vector<float> v(count);
  for (int64_t i = 0; i < count; ++i) v[i] = value(rank, i);
  return v;
}

void check_all_reduce(Group& g) {
  for (int64_t count : {0, 1, 5, 1000}) {
    std::vector<float> x = values_of(g.rank(), count), greatest = x;
    g.all_reduce(values(std::span(x))).wait();
    g.all_reduce(values(std::span(greatest)), Reduction::max).wait();
    for (int64_t i = 0; i < count; ++i) {
      float expected = value(0, i);
      for (int r = 1; r < g.size(); ++r) expected += value(r, i);
      ASSERT_EQ(x[i], expected);
      ASSERT_EQ(greatest[i], value(g.size() - 1, i));
    }
  }
  int64_t number = g.rank() + 1;
  g.all_reduce(values(std::span(&number, 1))).wait();
  EXPECT_EQ(number, g.size() * (g.size() + 1) / 2);
}

// Added in f32 and rounded once: 256 + 1 + 1 … would stay 256 if each sum were rounded to bf16.
void check_bf16(Group& g) {
  uint16_t x = f32_to_bf16(g.rank() == 0 ? 256.0f : 1.0f);
  g.all_reduce({&x, 1, DType::bf16}).wait();
  EXPECT_EQ(x, f32_to_bf16(256.0f + static_cast<float>(g.size() - 1)));
}

void check_gather_and_scatter(Group& g) {
  const std::vector<int64_t> counts = uneven_counts(g.size());
  std::vector<float> mine = values_of(g.rank(), counts[g.rank()]), all(sum(counts));
  g.all_gather(values(std::span(mine)), values(std::span(all)), counts).wait();
  std::vector<float> expected;
  for (int r = 0; r < g.size(); ++r)
    for (float v : values_of(r, counts[r])) expected.push_back(v);
  EXPECT_EQ(all, expected);

  std::vector<float> whole = values_of(g.rank(), sum(counts)), part(counts[g.rank()]);
  g.reduce_scatter(values(std::span(whole)), values(std::span(part)), counts).wait();
  const int64_t first = std::accumulate(counts.begin(), counts.begin() + g.rank(), int64_t{0});
  for (int64_t i = 0; i < std::ssize(part); ++i) {
    float total = value(0, first + i);
    for (int r = 1; r < g.size(); ++r) total += value(r, first + i);
    EXPECT_EQ(part[i], total);
  }
}

// Rank r sends (r + to) % 3 values to rank `to`.
void check_all_to_all(Group& g) {
  std::vector<int64_t> send(g.size()), receive(g.size());
  for (int r = 0; r < g.size(); ++r) {
    send[r] = (g.rank() + r) % 3;
    receive[r] = (r + g.rank()) % 3;
  }
  std::vector<float> out, in(sum(receive)), expected;
  for (int to = 0; to < g.size(); ++to)
    for (int64_t i = 0; i < send[to]; ++i) out.push_back(value(g.rank(), 10 * to + i));
  for (int from = 0; from < g.size(); ++from)
    for (int64_t i = 0; i < receive[from]; ++i) expected.push_back(value(from, 10 * g.rank() + i));
  g.all_to_all(values(std::span(out)), send, values(std::span(in)), receive).wait();
  EXPECT_EQ(in, expected);
}

void check_broadcast(Group& g) {
  for (int root = 0; root < g.size(); ++root) {
    std::vector<float> x = values_of(g.rank(), 3);
    g.broadcast(values(std::span(x)), root).wait();
    EXPECT_EQ(x, values_of(root, 3));
  }
}

void check_messages(Group& g) {
  if (g.size() == 1) return;
  const int next = (g.rank() + 1) % g.size(), previous = (g.rank() + g.size() - 1) % g.size();
  std::vector<float> first = values_of(g.rank(), 2), second = values_of(g.rank() + 50, 3), a(2), b(3);
  Pending sent = g.send(values(std::span(first)), next), also_sent = g.send(values(std::span(second)), next);
  Pending to_come = g.receive(values(std::span(a)), previous);
  to_come.wait();
  g.receive(values(std::span(b)), previous).wait();
  EXPECT_EQ(a, values_of(previous, 2));
  EXPECT_EQ(b, values_of(previous + 50, 3));
}

// Two collectives under way at once.
void check_overlap(Group& g) {
  std::vector<float> x = values_of(g.rank(), 4), y = values_of(g.rank() + 10, 4);
  Pending one = g.all_reduce(values(std::span(x))), two = g.all_reduce(values(std::span(y)));
  one.wait();
  two.wait();
  float expected_x = 0, expected_y = 0;
  for (int r = 0; r < g.size(); ++r) expected_x += value(r, 2), expected_y += value(r + 10, 2);
  EXPECT_FLOAT_EQ(x[2], expected_x);
  EXPECT_FLOAT_EQ(y[2], expected_y);
}

void check_collectives(Group& world) {
  check_all_reduce(world);
  check_bf16(world);
  check_gather_and_scatter(world);
  check_all_to_all(world);
  check_broadcast(world);
  check_messages(world);
  check_overlap(world);
  world.barrier();
}

void check_splits(Group& world) {
  const std::unique_ptr<Group> parity = world.split(world.rank() % 2, "parity");
  EXPECT_EQ(parity->rank(), world.rank() / 2);
  EXPECT_EQ(parity->size(), (world.size() + 1 - world.rank() % 2) / 2);
  EXPECT_EQ(parity->name(), "parity");
  check_collectives(*parity);
  const std::unique_ptr<Group> alone = parity->split(parity->rank(), "alone");
  EXPECT_EQ(alone->size(), 1);
  check_collectives(*alone);
  check_collectives(world);
}

void check_traffic(Group& world) {
  const double n = world.size();
  const std::string axis_name = "axis of " + std::to_string(world.size());
  const std::unique_ptr<Group> g = world.split(0, axis_name);
  const std::vector<int64_t> counts(world.size(), 6);
  std::vector<float> all(6 * world.size()), mine(6);
  g->all_reduce(values(std::span(all))).wait();
  g->all_reduce(values(std::span(all))).wait();
  g->all_gather(values(std::span(mine)), values(std::span(all)), counts).wait();
  g->reduce_scatter(values(std::span(all)), values(std::span(mine)), counts).wait();
  std::vector<float> received(all.size());
  g->all_to_all(values(std::span(all)), counts, values(std::span(received)), counts).wait();
  if (world.size() == 1) {
    EXPECT_FALSE(world.traffic().entries.contains(axis_name));
    return;
  }
  const auto& axis = world.traffic().entries.at(axis_name);
  EXPECT_EQ(axis.at("all-reduce").calls, 2);
  EXPECT_DOUBLE_EQ(axis.at("all-reduce").bytes, 2 * 2 * 24 * (n - 1));
  EXPECT_DOUBLE_EQ(axis.at("all-gather").bytes, 24 * (n - 1));
  EXPECT_DOUBLE_EQ(axis.at("reduce-scatter").bytes, 24 * (n - 1));
  EXPECT_DOUBLE_EQ(axis.at("all-to-all").bytes, 24 * (n - 1));
}

TEST(Pending, LetsNothingOutOfItsEnd) {
  int ends = 0;
  {
    const Pending lost([&] { ++ends, fail_run("rank 1 was lost"); });
  }
  {
    const Pending full([&] { ++ends, throw std::bad_alloc(); });
  }
  {
    const Pending odd([&] { ++ends, throw 7; });
  }
  EXPECT_EQ(ends, 3);
}

class GroupTest : public testing::TestWithParam<int> {};

TEST_P(GroupTest, Collectives) { test::on_ranks(GetParam(), check_collectives); }
TEST_P(GroupTest, Splits) { test::on_ranks(GetParam(), check_splits); }
TEST_P(GroupTest, CountsItsBytes) { test::on_ranks(GetParam(), check_traffic); }

INSTANTIATE_TEST_SUITE_P(Group, GroupTest, testing::Values(1, 2, 3, 4, 7));

}  // namespace
}  // namespace baton
