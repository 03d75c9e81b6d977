#include "engine/train/flat_parameters.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/autograd/tape.h"
#include "engine/comm/local.h"
#include "engine/core/random.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"

namespace baton {
namespace {

constexpr int ranks = 3;
const std::vector<Shape> shapes{{3, 2}, {5}, {1}, {2, 4, 3}, {7}};

Tensor value(size_t parameter) { return Tensor::full(shapes[parameter], 1 + static_cast<float>(parameter)); }

Parameters make() {
  Parameters parameters;
  for (size_t i = 0; i < shapes.size(); ++i) {
    parameters.push_back({std::to_string(i), value(i)});
    parameters.back().value.set_requires_grad(true);
  }
  return parameters;
}

// loss = sum of factor * p, factor = rank + 1, over all parameters but the last, which rank 1 alone uses.
void run_backward(const Parameters& parameters, int rank) {
  std::vector<Tensor> outputs, gradients;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (i + 1 == parameters.size() && rank != 1) continue;
    outputs.push_back(affine(parameters[i].value, static_cast<float>(rank + 1)));
    gradients.push_back(Tensor::full(shapes[i], 1));
  }
  backward(outputs, gradients);
}

class FlatParametersTest : public testing::TestWithParam<int> {};

TEST_P(FlatParametersTest, SumsGradientsAndSharesValues) {
  std::vector<std::vector<std::string>> owners(ranks);
  run_ranks(ranks, {}, [&](Group& group) {
    const Parameters parameters = make();
    FlatParameters flat(parameters, group, GetParam());
    for (const Parameter& p : flat.owned()) owners[group.rank()].push_back(p.name);
    for (size_t i = 0; i < parameters.size(); ++i)
      EXPECT_EQ(parameters[i].value.to_vector(), value(i).to_vector()) << "moved with its values";

    for (int step = 0; step < 2; ++step) {
      run_backward(parameters, group.rank());
      flat.expect_last_gradients();
      run_backward(parameters, group.rank());  // a second micro-batch
      flat.finish_gradients();
      double squares = 0;
      for (size_t i = 0; i < parameters.size(); ++i) {
        const float sum = 2.0f * (i + 1 == parameters.size() ? 2 : 1 + 2 + 3);
        squares += sum * sum * static_cast<double>(numel(shapes[i]));
        const bool kept = GetParam() < 2 || std::ranges::count(owners[group.rank()], parameters[i].name) > 0;
        ASSERT_EQ(parameters[i].value.grad().defined(), kept);
        if (!kept) continue;
        EXPECT_EQ(parameters[i].value.grad().to_vector(), Tensor::full(shapes[i], sum).to_vector());
      }
      EXPECT_DOUBLE_EQ(flat.sum_of_squares(), squares);
      for (const Parameter& p : flat.owned()) {
        p.value.data<float>()[0] = static_cast<float>(10 * step + 100);
        Tensor(p.value).clear_grad();
      }
      flat.share_values();
      for (const Parameter& p : parameters) {
        EXPECT_EQ(p.value.data<float>()[0], static_cast<float>(10 * step + 100));
        Tensor(p.value).clear_grad();
      }
    }
  });
  std::vector<std::string> all;
  for (const auto& names : owners) all.insert(all.end(), names.begin(), names.end());
  if (GetParam() == 0) return;
  EXPECT_EQ(all, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
}

INSTANTIATE_TEST_SUITE_P(Stages, FlatParametersTest, testing::Values(0, 1, 2));

TEST(FlatParameters, StageThreeHasValuesWhileTheyAreHeld) {
  run_ranks(ranks, {}, [&](Group& group) {
    const Parameters parameters = make();
    FlatParameters flat(parameters, group, 3);
    const auto there = [&](size_t i) { return parameters[i].value.raw() != nullptr; };
    const auto expect_own_alone = [&] {
      for (size_t i = 0; i < parameters.size(); ++i) EXPECT_EQ(there(i), flat.has(parameters[i].name)) << i;
    };
    expect_own_alone();
    for (const Parameter& p : flat.owned()) p.value.data<float>()[0] = 50;
    Tensor saved;
    {
      const auto held = flat.hold("3");
      ASSERT_TRUE(there(3));
      saved = parameters[3].value.detach();
    }
    expect_own_alone();
    Tensor expected = value(3);
    expected.data<float>()[0] = 50;
    EXPECT_EQ(saved.to_vector(), expected.to_vector()) << "what was saved for the backward pass stays";
    const std::vector<Tensor> all = flat.all_values();
    for (size_t i = 0; i < parameters.size(); ++i) EXPECT_EQ(all[i].data<float>()[0], 50);
  });
}

TEST(FlatParameters, OneRankIsLeftAlone) {
  const Parameters parameters = make();
  const void* before = parameters[0].value.raw();
  FlatParameters flat(parameters, alone(), 2);
  EXPECT_EQ(parameters[0].value.raw(), before);
  EXPECT_EQ(flat.owned().size(), parameters.size());
  run_backward(parameters, 1);
  flat.expect_last_gradients();
  flat.finish_gradients();
  EXPECT_EQ(parameters[0].value.grad().to_vector()[0], 2);
}

}  // namespace
}  // namespace baton
