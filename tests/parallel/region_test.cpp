#include "engine/parallel/region.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/ops/view.h"
#include "tests/comm/on_ranks.h"
#include "tests/ops/op_test.h"

namespace baton {
namespace {

using test::expect_close;
using test::random;

// Rank r's own numbers.
Tensor summand(Shape shape, int rank) { return random(std::move(shape), 10 + rank); }

Tensor sum_of_summands(const Shape& shape, int ranks) {
  std::vector<float> sum(numel(shape), 0.0f);
  for (int r = 0; r < ranks; ++r) {
    const std::vector<float> part = summand(shape, r).to_vector();
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  return Tensor::from(sum, shape);
}

Tensor part_of(const Tensor& x, int dim, const Group& g) {
  const auto parts = even_parts(x.dim(dim), g.size());
  return contiguous(narrow(x, dim, part_start(parts, g.rank()), parts[g.rank()]));
}

struct Result {
  Tensor y, dx;
};

Result run(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, const Tensor& dy) {
  Tensor leaf = x.detach();
  leaf.set_requires_grad(true);
  const Tensor y = f(leaf);
  backward(y, dy);
  return {y.detach(), leaf.grad()};
}

class RegionTest : public testing::TestWithParam<int> {
 protected:
  void on_ranks(const std::function<void(Group&)>& body) { test::on_ranks(GetParam(), body); }
};

TEST_P(RegionTest, CopyAndReduceAreConjugate) {
  on_ranks([](Group& g) {
    const Shape shape{3, 5};
    const Tensor x = random(shape, 1);
    const Result copied = run([&](const Tensor& v) { return copy(v, g); }, x, summand(shape, g.rank()));
    expect_close(copied.y, x.to_vector(), 0);
    expect_close(copied.dx, sum_of_summands(shape, g.size()).to_vector(), 1e-6);
    const Result reduced = run([&](const Tensor& v) { return reduce(v, g); }, summand(shape, g.rank()), x);
    expect_close(reduced.y, sum_of_summands(shape, g.size()).to_vector(), 1e-6);
    expect_close(reduced.dx, x.to_vector(), 0);
  });
}

TEST_P(RegionTest, PartsAlongEveryDimension) {
  on_ranks([](Group& g) {
    const Shape shape{5, 3, 4};
    for (int dim = 0; dim < 3; ++dim) {
      const Tensor whole = random(shape, 2), mine = part_of(whole, dim, g), sum = sum_of_summands(shape, g.size());
      const int64_t total = shape[dim];

      const Result scattered = run([&](const Tensor& v) { return scatter(v, dim, g); }, whole, mine);
      expect_close(scattered.y, mine.to_vector(), 0);
      expect_close(scattered.dx, whole.to_vector(), 0);
      const Result collected = run([&](const Tensor& v) { return collect(v, dim, total, g); }, mine, whole);
      expect_close(collected.y, whole.to_vector(), 0);
      expect_close(collected.dx, mine.to_vector(), 0);
      const Result gathered =
          run([&](const Tensor& v) { return all_gather(v, dim, total, g); }, mine, summand(shape, g.rank()));
      expect_close(gathered.y, whole.to_vector(), 0);
      expect_close(gathered.dx, part_of(sum, dim, g).to_vector(), 1e-6);
      const Result reduced =
          run([&](const Tensor& v) { return reduce_scatter(v, dim, g); }, summand(shape, g.rank()), mine);
      expect_close(reduced.y, part_of(sum, dim, g).to_vector(), 1e-6);
      expect_close(reduced.dx, whole.to_vector(), 0);
    }
  });
}

TEST_P(RegionTest, HeadsAreTradedForTheSequence) {
  on_ranks([](Group& g) {
    for (const auto& [tokens, heads] : {std::pair{7, 3}, {4, 5}, {1, 1}, {8, 4}}) {
      const Tensor whole = random({2, tokens, heads, 2}, 3);
      const Tensor by_sequence = part_of(whole, 1, g), by_heads = part_of(whole, 2, g);
      const Result there =
          run([&, n = tokens](const Tensor& v) { return trade(v, 2, 1, n, g); }, by_sequence, by_heads);
      expect_close(there.y, by_heads.to_vector(), 0);
      expect_close(there.dx, by_sequence.to_vector(), 0);
      const Result back = run([&, n = heads](const Tensor& v) { return trade(v, 1, 2, n, g); }, by_heads, by_sequence);
      expect_close(back.y, by_sequence.to_vector(), 0);
      expect_close(back.dx, by_heads.to_vector(), 0);
    }
  });
}

TEST_P(RegionTest, ARankWithoutAGradientStillAnswers) {
  on_ranks([](Group& g) {
    Tensor x = random({2}, 1);
    x.set_requires_grad(true);
    Tensor other = random({2}, 2);
    other.set_requires_grad(true);
    const Tensor y = copy(x, g);
    const auto parts = split(concat({y, other}, 0), {2, 2}, 0);  // rank 0's loss does not reach y
    backward(parts[g.rank() == 0 ? 1 : 0], Tensor::full({2}, 1));
    expect_close(x.grad(), std::vector<float>(2, static_cast<float>(std::max(1, g.size()) - 1)), 1e-6);
  });
}

INSTANTIATE_TEST_SUITE_P(Sizes, RegionTest, testing::Values(1, 2, 3, 4));

TEST(EvenParts, DifferByAtMostOne) {
  EXPECT_EQ(even_parts(7, 3), (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(even_parts(2, 4), (std::vector<int64_t>{0, 1, 0, 1}));
}

}  // namespace
}  // namespace baton
