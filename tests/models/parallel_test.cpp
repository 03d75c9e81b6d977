#include <gtest/gtest.h>

#include <map>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "engine/parallel/pipeline.h"
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
  // of a pipeline
  int64_t blocks = 2;
  int passes = 1;
  PipelineOrder order = PipelineOrder::one_f_one_b;
  int pieces = 1;
};

Case pipeline(const char* mesh, int64_t blocks, int passes, PipelineOrder order = PipelineOrder::one_f_one_b,
              int pieces = 1, bool sequence_parallel = false, Recompute recompute = Recompute::off) {
  return {mesh, sequence_parallel, 8, 16, 4, recompute, blocks, passes, order, pieces};
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.mesh << (c.sequence_parallel ? " +sp" : "") << " tokens " << c.rows * c.columns / 4 << " heads " << c.heads
       << " recompute " << static_cast<int>(c.recompute) << " blocks " << c.blocks << " passes " << c.passes
       << (c.order == PipelineOrder::gpipe ? " gpipe" : "") << " pieces " << c.pieces;
}

WanTransformerConfig config_of(const Case& c) {
  WanTransformerConfig config = test::tiny_transformer();
  config.num_attention_heads = c.heads;
  config.ffn_dim = 40;
  config.num_layers = c.blocks;
  return config;
}

// Two items with their texts, through the stages; the loss is a mean over all passes.
class Pass : public StagedPass {
 public:
  Pass(const WanTransformer& model, const Case& c, uint64_t number, const Tensor& states)
      : model_(model),
        latents_(random({2, 4, 1, c.rows, c.columns}, 100 + number)),
        target_(random(latents_.shape(), 200 + number)),
        weight_(1 / static_cast<float>(c.passes * target_.numel())) {
    const Tensor count = Tensor::from(std::vector<float>{1, 1, 1, 1, 3, 1, 1, 0, 0, 1}, {2, 5});
    const Tensor timestep = Tensor::from(std::vector<float>{900, 300}, {2});
    given_ = behind(cut_, model.conditions(latents_.shape(), timestep, model.encode_text(states, count)));
  }
  Shape between() const override { return model_.between(latents_.shape()); }
  Tensor forward(int stage, const Tensor& input) override {
    const Tensor out = model_.stage(stage, stage == 0 ? latents_ : input, given_);
    if (!model_.stages().is_last(stage)) return out;
    out_ = out.detach();
    return affine(square(out - target_), weight_);
  }
  void after_backward() override { cut_.backward(); }
  const Tensor& out() const { return out_; }

 private:
  const WanTransformer& model_;
  Tensor latents_, target_, out_;
  float weight_;
  Cut cut_;
  WanConditions given_;
};

struct Trained {
  std::vector<Tensor> outs;  // of the passes, where the last stage is
  Tensor states_gradient;
  Parameters parameters;
};

Trained train_step(const Case& c, const Layout& layout) {
  RandomParameters source(3);
  WanTransformer model(config_of(c), source, DType::f32, layout);
  model.set_recompute(c.recompute);
  Tensor states = random({2, 5, 16}, 3);
  states.set_requires_grad(true);
  std::vector<std::unique_ptr<StagedPass>> passes;
  for (int i = 0; i < c.passes; ++i) passes.push_back(std::make_unique<Pass>(model, c, i, states));
  run_pipeline(model.stages(), c.order, passes);
  Trained outcome{{}, states.grad(), model.parameters()};
  for (const auto& pass : passes) outcome.outs.push_back(static_cast<const Pass&>(*pass).out());
  return outcome;
}

Tensor summed(const Tensor& x, Group& group) {
  const Tensor sum = concat({x}, 0);
  group.all_reduce(values(std::span(sum.data<float>(), sum.numel()))).wait();
  return sum;
}

class ParallelDenoiser : public testing::TestWithParam<Case> {};

TEST_P(ParallelDenoiser, HasTheOutputAndGradientsOfOneRank) {
  const Case c = GetParam();
  const Trained one = train_step(c, {});
  std::map<std::string, const Parameter*> whole;
  for (const Parameter& p : one.parameters) whole[p.name] = &p;
  const MeshSpec spec = parse_mesh(c.mesh);
  test::on_ranks(spec.ranks(), [&](Group& world) {
    const Layout layout(world, Mesh(spec, world.size(), {}), c.sequence_parallel, c.pieces);
    const Trained mine = train_step(c, layout);
    const Group& pp = layout.on(Axis::pp);
    for (int i = 0; i < c.passes; ++i) {
      ASSERT_EQ(mine.outs[i].defined(), pp.rank() == pp.size() - 1);
      if (mine.outs[i]) expect_close(mine.outs[i], one.outs[i].to_vector(), 1e-5, "out");
    }
    expect_close(summed(mine.states_gradient, layout.replicas({.every_stage = true})), one.states_gradient.to_vector(),
                 1e-5, "text states");
    ASSERT_TRUE(pp.size() > 1 || mine.parameters.size() == one.parameters.size());
    for (const Parameter& p : mine.parameters) {
      const Tensor expected = share_of(whole.at(p.name)->value.grad(), p.shard, layout.on(Axis::tp));
      ASSERT_TRUE(p.value.grad()) << p.name;
      // A single token attends to itself whatever its query and key: their gradients are zero but for rounding.
      expect_close(
          summed(p.value.grad(), layout.replicas({.shard = p.shard, .every_stage = p.every_stage})).to_vector(),
          expected.to_vector(), 1e-5, p.name.c_str(), 1e-4);
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

constexpr auto f1b1 = PipelineOrder::one_f_one_b;
INSTANTIATE_TEST_SUITE_P(Pipelines, ParallelDenoiser,
                         testing::Values(pipeline("pp=2", 2, 1), pipeline("pp=2", 3, 4),
                                         pipeline("pp=2", 2, 3, PipelineOrder::gpipe), pipeline("pp=4", 5, 6),
                                         pipeline("pp=4", 4, 4, PipelineOrder::gpipe), pipeline("pp=2", 4, 4, f1b1, 2),
                                         pipeline("pp=2", 7, 3, f1b1, 3), pipeline("pp=3", 6, 5, f1b1, 2),
                                         pipeline("pp=4", 8, 6, f1b1, 2), pipeline("pp=2,tp=2", 4, 3, f1b1, 2, true),
                                         pipeline("pp=2,ring=2", 2, 2),
                                         pipeline("pp=2,ulysses=2,tp=2", 2, 3, f1b1, 1, true),
                                         pipeline("pp=2", 4, 3, f1b1, 2, false, Recompute::full),
                                         pipeline("pp=2,tp=2", 2, 2, f1b1, 1, true, Recompute::selective)));

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
