#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "tests/comm/on_ranks.h"
#include "tests/ops/op_test.h"

// The denoiser on several ranks against the same on one: its output and every gradient.
namespace baton {
namespace {

using test::expect_close;
using test::random;

struct Case {
  const char* mesh;
  bool sequence_parallel = false;
  int64_t rows = 8, columns = 16;  // of the latents; a token is 2 x 2
  int64_t heads = 4;
  Recompute recompute = Recompute::off;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.mesh << (c.sequence_parallel ? " +sp" : "") << " tokens " << c.rows * c.columns / 4 << " heads " << c.heads
       << " recompute " << static_cast<int>(c.recompute);
}

WanTransformerConfig config_of(const Case& c) {
  return {.num_attention_heads = c.heads,
          .attention_head_dim = 12,
          .in_channels = 4,
          .out_channels = 4,
          .text_dim = 10,
          .freq_dim = 16,
          .ffn_dim = 40,
          .num_layers = 2};
}

struct Outcome {
  Tensor out, states_gradient;
  Parameters parameters;
};

Outcome train_step(const Case& c, const Layout& layout) {
  const WanTransformerConfig config = config_of(c);
  RandomParameters source(3);
  WanTransformer model(config, source, DType::f32, layout);
  model.set_recompute(c.recompute);
  const Tensor latents = random({2, 4, 1, c.rows, c.columns}, 1), target = random(latents.shape(), 2);
  Tensor states = random({2, 5, 10}, 3);
  states.set_requires_grad(true);
  const Tensor count = Tensor::from(std::vector<float>{1, 1, 1, 1, 3, 1, 1, 0, 0, 1}, {2, 5});
  const Tensor out = model(latents, Tensor::from(std::vector<float>{900, 300}, {2}), model.encode_text(states, count));
  backward(mean(square(out - target)));
  return {out.detach(), states.grad(), model.parameters()};
}

// This rank's share of a whole tensor.
Tensor share_of(const Tensor& whole, Shard shard, const Group& tp) {
  if (shard == Shard::whole) return whole;
  const int dim = shard == Shard::column ? 0 : 1;
  const int64_t share = whole.dim(dim) / tp.size();
  return contiguous(narrow(whole, dim, tp.rank() * share, share));
}

Tensor summed(const Tensor& x, Group& group) {
  const Tensor sum = concat({x}, 0);
  group.all_reduce(values(std::span(sum.data<float>(), sum.numel()))).wait();
  return sum;
}

class ParallelDenoiser : public testing::TestWithParam<Case> {};

TEST_P(ParallelDenoiser, HasTheOutputAndGradientsOfOneRank) {
  const Case c = GetParam();
  const Outcome one = train_step(c, {});
  const MeshSpec spec = parse_mesh(c.mesh);
  test::on_ranks(spec.ranks(), [&](Group& world) {
    const Layout layout(world, Mesh(spec, world.size(), {}), c.sequence_parallel);
    const Outcome mine = train_step(c, layout);
    expect_close(mine.out, one.out.to_vector(), 1e-5, "out");
    expect_close(summed(mine.states_gradient, layout.replicas(Shard::whole)), one.states_gradient.to_vector(), 1e-5,
                 "text states");
    ASSERT_EQ(mine.parameters.size(), one.parameters.size());
    for (size_t i = 0; i < one.parameters.size(); ++i) {
      const Parameter &p = mine.parameters[i], &whole = one.parameters[i];
      const Tensor expected = share_of(whole.value.grad(), p.shard, layout.on(Axis::tp));
      ASSERT_TRUE(p.value.grad()) << p.name;
      // A single token attends to itself whatever its query and key: their gradients are zero but for rounding.
      expect_close(summed(p.value.grad(), layout.replicas(p.shard)).to_vector(), expected.to_vector(), 1e-5,
                   p.name.c_str(), 1e-4);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Meshes, ParallelDenoiser,
                         testing::Values(Case{"tp=2"}, Case{"tp=4"}, Case{"tp=2", true}, Case{"tp=4", true, 6, 14},
                                         Case{"ulysses=2"}, Case{"ulysses=4"}, Case{"ring=2"}, Case{"ring=3"},
                                         Case{"ring=2,ulysses=2"}, Case{"tp=2,ulysses=2", true}, Case{"ring=2,tp=2"},
                                         Case{"ring=2,ulysses=2,tp=2", true, 6, 14},
                                         // odd: one token, 63 and 65 tokens, heads that ranks cannot share evenly
                                         Case{"ulysses=2", false, 2, 2}, Case{"ring=3", false, 2, 2},
                                         Case{"ring=2,ulysses=2", false, 14, 18}, Case{"ring=2", false, 10, 26},
                                         Case{"tp=2", true, 10, 26}, Case{"ulysses=2", false, 14, 18, 3},
                                         Case{"ulysses=4", false, 10, 26, 3}, Case{"ulysses=4", false, 8, 16, 5},
                                         Case{"ring=2,ulysses=2", false, 2, 2, 3}));

INSTANTIATE_TEST_SUITE_P(Recomputation, ParallelDenoiser,
                         testing::Values(Case{"tp=2", true, 8, 16, 4, Recompute::selective},
                                         Case{"tp=2", true, 8, 16, 4, Recompute::full},
                                         Case{"ring=2,ulysses=2", false, 8, 16, 4, Recompute::selective},
                                         Case{"ring=2,ulysses=2", false, 8, 16, 4, Recompute::full}));

TEST(ParallelDenoiser, RefusesHeadsThatCannotBeShared) {
  const auto run = [] {
    test::on_ranks(3,
                   [](Group& world) { train_step({"tp=3"}, Layout(world, Mesh(parse_mesh("tp=3"), 3, {}), false)); });
  };
  try {
    run();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(
        error.what(),
        "denoiser: 4 heads and a feed-forward width of 40 cannot be shared by tp=3; sizes that fit are 1, 2, 4");
  }
}

}  // namespace
}  // namespace baton
