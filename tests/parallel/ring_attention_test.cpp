#include "engine/parallel/ring_attention.h"

#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"
#include "tests/comm/on_ranks.h"
#include "tests/ops/op_test.h"

namespace baton {
namespace {

using test::expect_close;
using test::random;

struct Case {
  int ranks;
  int64_t tokens, heads, head_size;
};

class RingAttentionTest : public testing::TestWithParam<Case> {};

Tensor leaf(const Tensor& x) {
  Tensor copy = contiguous(x.detach());
  copy.set_requires_grad(true);
  return copy;
}

TEST_P(RingAttentionTest, IsAttention) {
  const Case c = GetParam();
  const Shape shape{2, c.tokens, c.heads, c.head_size};
  const Tensor q = leaf(random(shape, 1, 2)), k = leaf(random(shape, 2, 2)), v = leaf(random(shape, 3));
  const Tensor dy = random(shape, 4), y = attention(q, k, v);
  backward(y, dy);
  test::on_ranks(c.ranks, [&](Group& ring) {
    const auto parts = even_parts(c.tokens, ring.size());
    const auto mine = [&](const Tensor& x) {
      return contiguous(narrow(x.detach(), 1, part_start(parts, ring.rank()), parts[ring.rank()]));
    };
    const Tensor my_q = leaf(mine(q)), my_k = leaf(mine(k)), my_v = leaf(mine(v));
    const Tensor out = ring_attention(my_q, my_k, my_v, c.tokens, ring);
    backward(out, mine(dy));
    expect_close(out, mine(y).to_vector(), 1e-5, "out");
    expect_close(my_q.grad(), mine(q.grad()).to_vector(), 1e-5, "q");
    expect_close(my_k.grad(), mine(k.grad()).to_vector(), 1e-5, "k");
    expect_close(my_v.grad(), mine(v.grad()).to_vector(), 1e-5, "v");
    NoGrad off;
    const Tensor half =
        ring_attention(cast(my_q, DType::bf16), cast(my_k, DType::bf16), cast(my_v, DType::bf16), c.tokens, ring);
    EXPECT_EQ(half.dtype(), DType::bf16);
    expect_close(half, mine(y).to_vector(), 0.05, "bf16");
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, RingAttentionTest,
                         testing::Values(Case{2, 16, 3, 8}, Case{3, 65, 2, 16}, Case{4, 63, 5, 4}, Case{3, 2, 1, 4},
                                         Case{2, 1, 1, 12}, Case{1, 9, 2, 8}));

}  // namespace
}  // namespace baton
