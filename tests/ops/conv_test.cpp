#include "engine/ops/conv.h"

#include "engine/core/require.h"
#include "tests/ops/op_test.h"
#include "tests/reference/conv.h"

namespace baton {
namespace {

using reference::ConvSizes;
using test::random;

struct Inputs {
  Tensor x, weight, bias;
  explicit Inputs(const ConvSizes& s)
      : x(random({s.batch, s.height, s.width, s.in}, 1)),
        weight(random({s.out, s.in, s.kernel_height, s.kernel_width}, 2)),
        bias(random({s.out}, 3)) {}
};

Padding padding(const ConvSizes& s) { return {s.top, s.bottom, s.left, s.right}; }

class ConvCases : public testing::TestWithParam<ConvSizes> {};

TEST_P(ConvCases, MatchesDoubleReference) {
  const ConvSizes s = GetParam();
  const Inputs in(s);
  const auto wanted = reference::conv2d(s, in.x.to_vector(), in.weight.to_vector(), in.bias.to_vector());
  const Tensor y = conv2d(in.x, in.weight, in.bias, s.stride, padding(s));
  EXPECT_EQ(y.shape(), (Shape{s.batch, s.out_height(), s.out_width(), s.out}));
  test::expect_close(y, wanted, 1e-5, "f32");
  test::expect_close(conv2d(in.x, in.weight, {}, s.stride, padding(s)),
                     reference::conv2d(s, in.x.to_vector(), in.weight.to_vector(), {}), 1e-5, "f32 without bias");
  const Tensor x = test::to_bf16(in.x), weight = test::to_bf16(in.weight);
  const Tensor low = conv2d(x, weight, in.bias, s.stride, padding(s));
  EXPECT_EQ(low.dtype(), DType::bf16);
  test::expect_close(low, reference::conv2d(s, x.to_vector(), weight.to_vector(), in.bias.to_vector()), 0.004, "bf16");
}

TEST_P(ConvCases, Gradient) {
  const ConvSizes s = GetParam();
  const Inputs in(s);
  test::check_gradient([&](const auto& t) { return conv2d(t[0], t[1], t[2], s.stride, padding(s)); },
                       {in.x, in.weight, in.bias});
  // The bias stays in f32.
  test::check_bf16([&](const auto& t) { return conv2d(t[0], t[1], in.bias, s.stride, padding(s)); }, {in.x, in.weight});
}

INSTANTIATE_TEST_SUITE_P(
    All, ConvCases,
    testing::Values(ConvSizes{1, 5, 4, 1, 1, 3, 3, 1, 1, 1, 1, 1}, ConvSizes{2, 6, 7, 3, 5, 3, 3, 1, 1, 1, 1, 1},
                    ConvSizes{1, 7, 6, 17, 3, 3, 3, 1, 0, 0, 0, 0}, ConvSizes{2, 8, 6, 16, 32, 3, 3, 2, 0, 1, 0, 1},
                    ConvSizes{1, 7, 9, 5, 17, 3, 3, 2, 1, 1, 1, 1}, ConvSizes{2, 5, 5, 12, 16, 1, 1, 1, 0, 0, 0, 0},
                    ConvSizes{1, 6, 6, 3, 4, 1, 1, 2, 0, 0, 0, 0}, ConvSizes{1, 6, 5, 4, 3, 1, 1, 1, 1, 0, 0, 2},
                    ConvSizes{1, 9, 8, 8, 8, 5, 2, 1, 2, 3, 0, 1}, ConvSizes{1, 12, 12, 32, 48, 3, 3, 1, 1, 1, 1, 1}));

TEST(Conv, ReadsTheLastTemporalSlice) {
  const ConvSizes s{1, 6, 5, 4, 7, 3, 3, 1, 1, 1, 1, 1};
  const Tensor whole = random({7, 4, 3, 3, 3}, 2), slice = whole.alias({7, 4, 3, 3}, {108, 27, 3, 1}, 18),
               x = random({1, 6, 5, 4}, 1);
  test::expect_close(conv2d(x, slice, {}, 1, padding(s)), reference::conv2d(s, x.to_vector(), slice.to_vector(), {}),
                     1e-5);
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Tensor x = random({1, 6, 5, 4}, 1), weight = random({7, 4, 3, 3}, 2);
  EXPECT_THROW(conv2d(x, random({7, 5, 3, 3}, 2), {}, 1, {}), LogicError);
  EXPECT_THROW(conv2d(x, weight, random({4}, 2), 1, {}), LogicError);
  EXPECT_THROW(conv2d(x, weight, {}, 0, {}), LogicError);
  EXPECT_THROW(conv2d(x, weight, {}, 1, {-1, 0, 0, 0}), LogicError);
  EXPECT_THROW(conv2d(random({1, 2, 5, 4}, 1), weight, {}, 1, {}), LogicError);
  EXPECT_THROW(conv2d(x, test::to_bf16(weight), {}, 1, {}), LogicError);
}

TEST(Upsample, RepeatsPixels) {
  const Tensor x = random({2, 3, 4, 5}, 1), y = upsample2x(x);
  ASSERT_EQ(y.shape(), (Shape{2, 6, 8, 5}));
  const std::vector<float> from = x.to_vector(), to = y.to_vector();
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t i = 0; i < 6; ++i)
      for (int64_t j = 0; j < 8; ++j)
        for (int64_t c = 0; c < 5; ++c)
          ASSERT_EQ(to[((b * 6 + i) * 8 + j) * 5 + c], from[((b * 3 + i / 2) * 4 + j / 2) * 5 + c]);
  test::check_gradient([](const auto& in) { return upsample2x(in[0]); }, {x});
  test::check_bf16([](const auto& in) { return upsample2x(in[0]); }, {x});
  EXPECT_THROW(upsample2x(random({3, 4, 5}, 1)), LogicError);
}

}  // namespace
}  // namespace baton
