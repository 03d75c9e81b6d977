#include <gtest/gtest.h>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "engine/ops/view.h"
#include "tests/comm/on_ranks.h"
#include "tests/models/tiny_models.h"
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
  WanTransformerConfig config = test::tiny_transformer();
  config.num_attention_heads = c.heads;
  config.ffn_dim = 40;
  return config;
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
  Tensor states = random({2, 5, 16}, 3);
  states.set_requires_grad(true);
  const Tensor count = Tensor::from(std::vector<float>{1, 1, 1, 1, 3, 1, 1, 0, 0, 1}, {2, 5});
  const Tensor out = model(latents, Tensor::from(std::vector<float>{900, 300}, {2}), model.encode_text(states, count));
  backward(mean(square(out - target)));
  return {out.detach(), states.grad(), model.parameters()};
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

// Bytes that this rank sent on an axis, by kind of collective.
double sent(const Group& world, const std::string& axis, const std::string& kind) {
  const auto& entries = world.traffic().entries;
  if (!entries.contains(axis) || !entries.at(axis).contains(kind)) return 0;
  return entries.at(axis).at(kind).bytes;
}

// One training step of config_of({}): 2 blocks, 2 items of 32 tokens of 48 channels, 5 text tokens, 16 values out.
TEST(ParallelDenoiserTraffic, IsThatOfTheClosedForms) {
  const double blocks = 2, b = 2, n = 32, text = 5, d = 48, out = 16, f32 = 4;
  const double tokens = f32 * b * n, states = f32 * b * text;  // bytes of one channel
  struct Expected {
    Case run;
    std::string axis, kind;
    double bytes;
  };
  const double t = 2, u = 2, r = 2;
  const double all_reduce = 2 * (t - 1) / t, part = (t - 1) / t;
  // A head norm sums one number a row, forward and backward: queries and keys, queries of the text, and its keys.
  const double norms = all_reduce * blocks * 2 * (3 * tokens + states);
  // Three pairs of matrices: a sum forward behind each, one backward before each; the text is read by one matrix.
  const double sums = all_reduce * blocks * (6 * tokens * d + states * d);
  // The same bytes as gathers and scattered sums, and each gather once more in the backward pass; the prediction.
  // The shares of the five text tokens are two and three: rank 0 sends two.
  const double gathers = blocks * (part * tokens * d * (3 + 3 + 3) + 2 * f32 * b * 2 * d) + part * tokens * out;
  const double scatters = blocks * (part * tokens * d * 6 + (states - f32 * b * 2) * d);
  const double trades = blocks * 8 * (u - 1) / u * tokens / u * d, prediction = tokens / u * out * (u - 1);
  // Keys and values go round twice; their gradients once more than the ring has gaps.
  const double rounds = blocks * 2 * tokens / r * d * ((r - 1) + (r - 1) + r);
  for (const Expected& e :
       {Expected{{"tp=2"}, "tp", "all-reduce", norms + sums}, Expected{{"tp=2", true}, "tp", "all-reduce", norms},
        Expected{{"tp=2", true}, "tp", "all-gather", gathers},
        Expected{{"tp=2", true}, "tp", "reduce-scatter", scatters},
        Expected{{"ulysses=2"}, "ulysses", "all-to-all", trades},
        Expected{{"ulysses=2"}, "ulysses", "all-gather", prediction}, Expected{{"ring=2"}, "ring", "send", rounds},
        Expected{{"ring=2"}, "ring", "all-gather", prediction}}) {
    SCOPED_TRACE(std::string(e.run.mesh) + " " + e.kind);
    test::on_ranks(2, [&](Group& world) {
      const Layout layout(world, Mesh(parse_mesh(e.run.mesh), 2, {}), e.run.sequence_parallel);
      const double before = sent(world, e.axis, e.kind);
      train_step(e.run, layout);
      if (world.rank() > 0) return;
      EXPECT_DOUBLE_EQ(sent(world, e.axis, e.kind) - before, e.bytes);
    });
  }
}

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
