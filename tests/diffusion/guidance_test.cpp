#include "engine/diffusion/guidance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/require.h"

namespace baton {
namespace {

TEST(Guidance, ExtrapolatesFromUnconditionalToConditional) {
  const Tensor conditional = Tensor::from(std::vector<float>{1, 2, -3}, {3}),
               unconditional = Tensor::from(std::vector<float>{0.5f, 2, 1}, {3});
  EXPECT_EQ(guide(conditional, unconditional, 4).to_vector(), (std::vector<float>{2.5f, 2, -15}));
  EXPECT_EQ(guide(conditional, unconditional, 1).to_vector(), conditional.to_vector());
  EXPECT_EQ(guide(conditional, unconditional, 0).to_vector(), unconditional.to_vector());
}

TEST(Guidance, RefusesDifferentShapes) {
  EXPECT_THROW(guide(Tensor::zeros({2, 3}), Tensor::zeros({3, 2}), 2), LogicError);
}

TEST(Guidance, OneIsOff) {
  EXPECT_FALSE(guided(0));
  EXPECT_FALSE(guided(1));
  EXPECT_TRUE(guided(1.5f));
}

TEST(Guidance, TakesOneValueOrOneForEachExpert) {
  EXPECT_EQ(guidance_per_expert(std::vector<double>{4}, 3), (std::vector<float>{4, 4, 4}));
  EXPECT_EQ(guidance_per_expert(std::vector<double>{4, 3, 1}, 3), (std::vector<float>{4, 3, 1}));
  EXPECT_THROW(guidance_per_expert(std::vector<double>{4, 3}, 3), InputError);
  EXPECT_THROW(guidance_per_expert(std::vector<double>{}, 1), InputError);
  EXPECT_THROW(guidance_per_expert(std::vector<double>{-1}, 1), InputError);
  EXPECT_THROW(guidance_per_expert(std::vector<double>{NAN}, 1), InputError);
}

}  // namespace
}  // namespace baton
