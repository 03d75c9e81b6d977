#include "engine/core/torch_random.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace baton {
namespace {

std::vector<float> draw(TorchGenerator& generator, size_t count) {
  std::vector<float> values(count);
  generator.randn(values);
  return values;
}

// FNV-1a over 32-bit words: a short name for a million floats.
uint64_t digest(const std::vector<float>& values) {
  uint64_t hash = 14695981039346656037u;
  for (float value : values) hash = (hash ^ std::bit_cast<uint32_t>(value)) * 1099511628211u;
  return hash;
}

// Digests of torch.randn(n, generator=torch.Generator("cpu").manual_seed(seed)), PyTorch 2.15.0 on AVX-512. Sizes: a
// multiple of 16, and one whose last 16 values are drawn twice.
struct Reference {
  uint64_t seed;
  size_t count;
  uint64_t digest;
};
constexpr Reference references[] = {
    {0, 1'000'000, 0x330d87edee1fda29},
    {0, 1'000'003, 0xb4f608d21d9ea2a7},
    {42, 1'000'000, 0xefa1649158a14580},
    {42, 1'000'003, 0xb30fe4b8367232af},
    {4294967303, 1'000'000, 0xc75ad97090b9ed70},
    {4294967303, 1'000'003, 0x28ff83e37cf9ca43},
    {18446744073709551615u, 1'000'000, 0xf50fda606eeaa7d4},
    {18446744073709551615u, 1'000'003, 0x958137a3c68d5610},
};

TEST(TorchGenerator, GivesTheBitsOfPyTorch) {
  for (const Reference& reference : references) {
    TorchGenerator generator(reference.seed);
    EXPECT_EQ(digest(draw(generator, reference.count)), reference.digest)
        << "seed " << reference.seed << ", " << reference.count << " values";
  }
}

// A short draw of odd size leaves a spare number behind, which the long draw between must not disturb.
TEST(TorchGenerator, MixesShortAndLongDraws) {
  TorchGenerator generator(42);
  EXPECT_EQ(draw(generator, 3), (std::vector<float>{0x1.58c55cp-2f, 0x1.07cd3ap-3f, 0x1.e02dcep-3f}));
  EXPECT_EQ(draw(generator, 18),
            (std::vector<float>{0x1.c9ac9p+0f, -0x1.e984b2p-2f, -0x1.f93268p-2f, 0x1.ee9126p-3f, -0x1.1c6432p+0f,
                                0x1.76f894p-4f, -0x1.2890ecp+1f, -0x1.bc041ep-3f, -0x1.6279fap+0f, -0x1.be12aap-1f,
                                0x1.9b5878p-1f, -0x1.3e41cp-1f, -0x1.2f1ab2p-1f, -0x1.025a48p-4f, -0x1.a83843p-1f,
                                0x1.52d70ap-2f, -0x1.8ebd12p+0f, 0x1.fdc404p-1f}));
  EXPECT_EQ(draw(generator, 3), (std::vector<float>{0x1.d7b8d8p-3f, -0x1.67ep-2f, -0x1.94cf2cp-1f}));
}

TEST(TorchGenerator, UsesTheLowHalfOfTheSeed) {
  TorchGenerator low(7), high(7 + (uint64_t{1} << 32));
  EXPECT_EQ(draw(low, 100), draw(high, 100));
}

}  // namespace
}  // namespace baton
