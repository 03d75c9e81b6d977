#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/core/torch_random.h"
#include "engine/io/safetensors.h"
#include "tests/test_dir.h"

// The noise that a pipeline of diffusers starts from (tests/golden/torch_randn, made by tools/golden/torch_randn.py),
// bit for bit. A million values are in tests/core/torch_random_test.cpp.
namespace baton {
namespace {

std::vector<float> draw(TorchGenerator& generator, int64_t count) {
  std::vector<float> values(count);
  generator.randn(values);
  return values;
}

TEST(TorchNoise, EveryFixture) {
  const SafetensorsFile golden(test_dir() / "golden/torch_randn.safetensors");
  int compared = 0;
  for (const std::string& name : golden.names()) {
    const size_t dot = name.find('.');
    const std::string kind = name.substr(dot + 1);
    if (!name.starts_with("seed_") || kind == "second") continue;
    TorchGenerator generator(std::stoull(name.substr(5, dot - 5)));
    EXPECT_EQ(draw(generator, golden.tensor(name).numel()), golden.tensor(name).to_vector()) << name;
    ++compared;
    if (kind == "first") {
      const Tensor second = golden.tensor(name.substr(0, dot) + ".second");
      EXPECT_EQ(draw(generator, second.numel()), second.to_vector()) << name;
      ++compared;
    }
  }
  EXPECT_GE(compared, 40);
}

// A batch draws each item from a generator of its own, so that it does not matter what it is batched with.
TEST(TorchNoise, BatchOfGenerators) {
  const SafetensorsFile golden(test_dir() / "golden/torch_randn.safetensors");
  const Tensor batch = golden.tensor("batch.latents");
  std::vector<float> values;
  for (uint64_t seed : {5, 6}) {
    TorchGenerator generator(seed);
    for (float value : draw(generator, batch.numel() / 2)) values.push_back(value);
  }
  EXPECT_EQ(values, batch.to_vector());
}

}  // namespace
}  // namespace baton
