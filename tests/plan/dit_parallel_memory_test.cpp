#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/comm/local.h"
#include "engine/core/allocator.h"
#include "engine/diffusion/objective.h"
#include "engine/models/wan_transformer.h"
#include "engine/plan/dit_activations.h"
#include "tests/ops/op_test.h"
#include "tests/plan/small_dit.h"

// What the planner counts for a rank against what the ranks of a mesh keep.
namespace baton {
namespace {

struct Case {
  const char* mesh;
  bool sequence_parallel = false;
  DType compute = DType::f32;
  Recompute recompute = Recompute::off;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.mesh << (c.sequence_parallel ? " +sp " : " ") << name(c.compute) << " recompute "
       << static_cast<int>(c.recompute);
}

DitModel model_of(const Case& c, int64_t layers) { return test::small_dit(c.compute, layers, 8); }

// Bytes that all ranks together keep after the forward pass of three samples, divided by the ranks.
double measured(const Case& c, int64_t layers) {
  const DitModel m = model_of(c, layers);
  const MeshSpec spec = parse_mesh(c.mesh);
  double kept = 0;
  run_ranks(spec.ranks(), {}, [&](Group& world) {
    const Layout layout(world, Mesh(spec, world.size(), {}), c.sequence_parallel);
    RandomParameters source(3);
    WanTransformer model(m.transformer, source, m.compute, layout);
    model.set_recompute(c.recompute);
    const Tensor latents = test::random({3, 4, 1, 24, 32}, 1), target = test::random(latents.shape(), 2);
    const Tensor states = test::random({3, m.text_tokens, 48}, 3), time = Tensor::full({3}, 500);
    const Tensor present = Tensor::full({3, m.text_tokens}, 1);
    world.barrier();
    const int64_t before = memory_use().live;
    world.barrier();
    const Tensor loss = flow_loss(model(latents, time, model.encode_text(states, present)), target);
    world.barrier();
    if (world.rank() == 0) kept = static_cast<double>(memory_use().live - before) / world.size();
    world.barrier();
  });
  return kept;
}

class KeptBytesOnAMesh : public testing::TestWithParam<Case> {};

TEST_P(KeptBytesOnAMesh, AreAsPlanned) {
  const Case c = GetParam();
  const Execution e{.mesh = parse_mesh(c.mesh), .micro_batch = 3, .sequence_parallel = c.sequence_parallel};
  const DitModel m = model_of(c, 1);
  const double one = measured(c, 1), two = measured(c, 2);
  const double block = dit_block_activations(m, e, c.recompute) + dit_block_weight_copies(m, e, c.recompute);
  fmt::print("block {:.0f} of {:.0f}, with the rest {:.0f} of {:.0f}\n", block, two - one,
             block + dit_activations_outside(m, e), one);
  EXPECT_NEAR(block / (two - one), 1, 0.04);
  EXPECT_NEAR((block + dit_activations_outside(m, e)) / one, 1, 0.04);
}

constexpr DType bf16 = DType::bf16;
INSTANTIATE_TEST_SUITE_P(DitMemory, KeptBytesOnAMesh,
                         testing::Values(Case{"tp=2"}, Case{"tp=2", false, bf16}, Case{"tp=2", true},
                                         Case{"tp=2", true, bf16}, Case{"ulysses=2"}, Case{"ulysses=2", false, bf16},
                                         Case{"ring=2"}, Case{"ring=2", false, bf16}, Case{"ring=2,ulysses=2"},
                                         Case{"ring=2,ulysses=2", false, bf16},
                                         Case{"tp=2", true, bf16, Recompute::selective},
                                         Case{"tp=2", true, bf16, Recompute::full},
                                         Case{"ring=2,ulysses=2", false, bf16, Recompute::selective},
                                         Case{"ulysses=2", false, bf16, Recompute::full}));

}  // namespace
}  // namespace baton
