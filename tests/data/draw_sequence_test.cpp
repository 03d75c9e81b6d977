#include "engine/data/draw_sequence.h"

#include <map>
#include <set>

#include "data_test_files.h"

namespace baton {
namespace {

Dataset weighted(std::initializer_list<double> weights) {
  Dataset set;
  for (const double weight : weights) set.items.push_back({.captions = {{.text = "t"}}, .weight = weight});
  return set;
}

TEST(DrawSequence, DrawsEqualWeightsOnceAnEpoch) {
  Dataset set;
  for (int i = 0; i < 101; ++i) set.items.push_back({.captions = {{}}, .weight = 0.1});
  DrawSequence sequence(set, {}, 1);
  ASSERT_EQ(sequence.epoch_size(), 101);
  std::vector<int64_t> first_epoch;
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::set<int64_t> seen;
    std::vector<int64_t> order;
    for (const Draw& draw : sequence.draws(epoch * 101, 101)) {
      seen.insert(draw.item);
      order.push_back(draw.item);
    }
    EXPECT_EQ(seen.size(), 101);
    if (epoch == 0) first_epoch = order;
    EXPECT_EQ(order == first_epoch, epoch == 0);
  }
}

TEST(DrawSequence, KeepsTheSharesOfWeights) {
  const Dataset set = weighted({1, 0.3, 0, 2, 0.7});
  DrawSequence sequence(set, {}, 5);
  ASSERT_EQ(sequence.epoch_size(), 2);
  constexpr int64_t count = 40'000;
  std::map<int64_t, int64_t> drawn;
  for (int64_t epoch = 0; epoch < count / 2; ++epoch) {
    const auto draws = sequence.draws(2 * epoch, 2);
    EXPECT_NE(draws[0].item, draws[1].item);
    for (const Draw& draw : draws) ++drawn[draw.item];
  }
  EXPECT_EQ(drawn[2], 0);
  for (size_t i = 0; i < set.items.size(); ++i)
    EXPECT_NEAR(static_cast<double>(drawn[i]) / count, set.items[i].weight / 4, 0.01) << i;
}

TEST(DrawSequence, DependsOnSeedAndNumberAlone) {
  Dataset set;
  for (int i = 0; i < 10; ++i) set.items.push_back({.captions = {{.tags = {"a", "b", "c", "d"}}, {.text = "e"}}});
  const DataConfig config{.size = 32, .crop = 8, .flip = true};
  DrawSequence forward(set, config, 3), backward(set, config, 3), other(set, config, 4);
  int differing = 0;
  for (int64_t n = 0; n < 100; ++n) {
    const int64_t m = 99 - n;
    backward.draw(m);
    const Draw a = forward.draw(n), b = backward.draw(n), c = other.draw(n);
    EXPECT_EQ(a.number, n);
    EXPECT_EQ(std::tie(a.item, a.flip, a.top, a.left), std::tie(b.item, b.flip, b.top, b.left));
    EXPECT_EQ(forward.caption(a), backward.caption(b));
    differing += std::tie(a.item, a.top, a.left) != std::tie(c.item, c.top, c.left);
  }
  EXPECT_GT(differing, 90);
}

TEST(DrawSequence, CoversFlipsAndCrops) {
  const Dataset set = weighted({1});
  DrawSequence sequence(set, {.size = 10, .crop = 8, .flip = true}, 1), plain(set, {.size = 10}, 1);
  std::map<std::tuple<bool, int64_t, int64_t>, int> seen;
  for (const Draw& draw : sequence.draws(0, 1800)) ++seen[{draw.flip, draw.top, draw.left}];
  EXPECT_EQ(seen.size(), 2 * 3 * 3);
  for (const auto& [key, count] : seen) EXPECT_NEAR(count, 100, 40);
  for (const Draw& draw : plain.draws(0, 50)) EXPECT_FALSE(draw.flip || draw.top || draw.left);
}

TEST(DrawSequence, DrawsCaptionsByWeightAndShufflesTags) {
  Dataset set;
  set.items.push_back(
      {.captions = {{.text = "no", .weight = 0}, {.text = "x", .weight = 3}, {.tags = {"a", "b", "c"}, .weight = 1}}});
  DrawSequence sequence(set, {}, 2);
  std::map<std::string, int> seen;
  for (int64_t n = 0; n < 4000; ++n) ++seen[sequence.caption(sequence.draw(n))];
  EXPECT_EQ(seen.size(), 1 + 6);
  EXPECT_NEAR(seen["x"], 3000, 150);
  for (const char* order : {"a, b, c", "a, c, b", "b, a, c", "b, c, a", "c, a, b", "c, b, a"})
    EXPECT_NEAR(seen[order], 1000 / 6, 50) << order;
}

TEST(DrawSequence, StandsExtremeWeights) {
  const Dataset small = weighted({1e-300, 1e-300}), none = weighted({0});
  DrawSequence tiny(small, {}, 1);
  EXPECT_EQ(tiny.epoch_size(), 2);
  const Dataset set = weighted({1e300, 1e-300, 0});
  DrawSequence uneven(set, {}, 1);
  EXPECT_EQ(uneven.epoch_size(), 1);
  for (const Draw& draw : uneven.draws(0, 100)) EXPECT_EQ(draw.item, 0);
  EXPECT_EQ(uneven.draw(int64_t{1} << 40).item, 0);
  EXPECT_THROW(DrawSequence(none, {}, 1), InputError);
}

}  // namespace
}  // namespace baton
