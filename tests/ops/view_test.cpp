#include "engine/ops/view.h"

#include <numeric>

#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "tests/ops/op_test.h"

namespace baton::test {
namespace {

// Element by element, with the indices written out.
std::vector<float> permute_reference(const Tensor& x, const std::vector<int>& order) {
  Shape shape, stride;
  for (int d : order) {
    shape.push_back(x.dim(d));
    stride.push_back(x.stride()[d]);
  }
  return x.alias(shape, stride).to_vector();
}

TEST(View, PermuteMatchesIndexArithmetic) {
  const std::vector<std::pair<Shape, std::vector<int>>> cases{
      {{7}, {0}},
      {{5, 9}, {1, 0}},
      {{130, 67}, {1, 0}},
      {{2, 5, 3, 16}, {0, 2, 1, 3}},             // [B, T, H, D] -> [B, H, T, D]
      {{2, 5, 3, 7}, {0, 2, 3, 1}},              // -> [B, H, D, T]
      {{2, 3, 17, 19}, {0, 2, 3, 1}},            // channels last
      {{2, 17, 19, 3}, {0, 3, 1, 2}},            // and back
      {{2, 3, 4, 2, 5, 2}, {0, 2, 4, 1, 3, 5}},  // patches
      {{2, 3, 1, 1, 4, 2, 5, 2}, {0, 2, 4, 6, 1, 3, 5, 7}},
      {{2, 1, 4, 5, 1, 2, 2, 3}, {0, 7, 1, 4, 2, 5, 3, 6}},
      {{3, 4, 5}, {2, 0, 1}},
      {{3, 4, 5}, {2, 1, 0}},
      {{1, 1, 1}, {2, 1, 0}},
      {{0, 3}, {1, 0}},
  };
  for (const auto& [shape, order] : cases) {
    const Tensor x = random(shape, 1);
    const Tensor y = permute(x, order);
    EXPECT_TRUE(y.is_contiguous());
    EXPECT_EQ(y.to_vector(), permute_reference(x, order)) << fmt::format("{} {}", shape, order);
    const Tensor low = to_bf16(x);
    EXPECT_EQ(permute(low, order).to_vector(), permute_reference(low, order));
    if (x.numel() == 0) continue;
    check_gradient([&](auto& in) { return permute(in[0], order); }, {x});
  }
  EXPECT_THROW(permute(random({2, 3}, 1), {0, 0}), LogicError);
  EXPECT_THROW(permute(random({2, 3}, 1), {0}), LogicError);
}

TEST(View, CopiesOfWindows) {
  const Tensor x = random({6, 10, 33}, 1);
  const Tensor inner = narrow(narrow(x, 1, 2, 5), 2, 1, 31);
  std::vector<float> wanted;
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 2; j < 7; ++j)
      for (int64_t k = 1; k < 32; ++k) wanted.push_back(x.data<float>()[(i * 10 + j) * 33 + k]);
  EXPECT_EQ(inner.to_vector(), wanted);
  EXPECT_EQ(contiguous(inner).to_vector(), wanted);
  EXPECT_EQ(contiguous(x).raw(), x.raw());
  EXPECT_EQ(permute(inner, {2, 0, 1}).to_vector(), permute_reference(inner, {2, 0, 1}));
}

TEST(View, ReshapeIsAWindowWhereItCanBe) {
  const Tensor x = random({2, 6, 12}, 1);
  EXPECT_EQ(reshape(x, {-1, 4}).shape(), (Shape{36, 4}));
  EXPECT_EQ(reshape(x, {144}).raw(), x.raw());
  const Tensor part = narrow(x, 2, 4, 4);  // rows of 12, 4 used
  const Tensor heads = reshape(part, {2, 6, 2, 2}), rows = reshape(part, {12, 4}),
               row = reshape(narrow(x, 1, 3, 1), {2, 12});
  EXPECT_EQ(heads.raw(), part.raw());
  EXPECT_EQ(rows.raw(), part.raw());
  EXPECT_EQ(row.stride(), (Shape{72, 1}));
  for (const Tensor& y : {heads, rows, reshape(part, {48}), reshape(part, {2, 3, 8}), reshape(part, {1, 12, 1, 4, 1})})
    EXPECT_EQ(y.to_vector(), part.to_vector());
  EXPECT_NE(reshape(part, {48}).raw(), part.raw());
  EXPECT_EQ(reshape(random({}, 1), {1, 1}).shape(), (Shape{1, 1}));
  EXPECT_THROW(reshape(x, {5, -1}), LogicError);
  EXPECT_THROW(reshape(x, {143}), LogicError);
  for (const Shape& shape : {Shape{2, 6, 2, 2}, Shape{48}})
    check_gradient([&](auto& in) { return square(reshape(narrow(in[0], 2, 4, 4), shape)); }, {x});
}

TEST(View, NarrowAndSplit) {
  const Tensor x = random({3, 7, 4}, 1);
  EXPECT_EQ(narrow(x, 0, 1, 2).to_vector(), std::vector<float>(x.data<float>() + 28, x.data<float>() + 84));
  EXPECT_EQ(narrow(x, -1, 0, 4).to_vector(), x.to_vector());
  EXPECT_THROW(narrow(x, 1, 5, 3), LogicError);
  EXPECT_THROW(narrow(x, 3, 0, 1), LogicError);
  check_gradient([](auto& in) { return square(narrow(in[0], 1, 2, 3)); }, {x});

  const auto parts = split(x, {1, 4, 2}, 1);
  EXPECT_EQ(parts[1].raw(), x.data<float>() + 4);
  EXPECT_THROW(split(x, {1, 4}, 1), LogicError);
  check_gradient(
      [](auto& in) {
        const auto p = split(in[0], {3, 1, 3}, 1);
        return p[0] * p[2];  // the middle part gets no gradient
      },
      {x});
  check_gradient(
      [](auto& in) {
        const auto p = split(in[0], {2, 2}, -1);
        return square(p[0]) + p[1];
      },
      {x});
}

TEST(View, ExpandRepeats) {
  const Tensor x = random({3, 1}, 1);
  const Tensor y = expand(x, {2, 3, 4});
  EXPECT_EQ(y.raw(), x.raw());
  const std::vector<float> values = y.to_vector();
  for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(values[i], x.data<float>()[i / 4 % 3]);
  EXPECT_EQ(contiguous(y).to_vector(), values);
  EXPECT_THROW(expand(x, {2, 4}), LogicError);
  check_gradient([](auto& in) { return square(expand(in[0], {2, 3, 4})); }, {x});
}

TEST(View, Concat) {
  for (int dim : {0, 1, 2, -1}) {
    Shape a{2, 3, 5}, b{2, 3, 5};
    a[dim < 0 ? dim + 3 : dim] = 4;
    const Tensor x = random(a, 1), y = random(b, 2);
    const Tensor z = concat({x, y, x}, dim);
    EXPECT_EQ(narrow(z, dim, 0, 4).to_vector(), x.to_vector());
    EXPECT_EQ(narrow(z, dim, 4, y.dim(dim)).to_vector(), y.to_vector());
    EXPECT_EQ(narrow(z, dim, 4 + y.dim(dim), 4).to_vector(), x.to_vector());
    check_gradient([&](auto& in) { return square(concat({in[0], in[1]}, dim)); }, {x, y});
  }
  EXPECT_THROW(concat({random({2, 3}, 1), random({3, 3}, 1)}, 1), LogicError);
  EXPECT_THROW(concat({random({2, 3}, 1), to_bf16(random({2, 3}, 1))}, 1), LogicError);
  EXPECT_EQ(
      concat({Tensor::from_ids(std::vector<int32_t>{1, 2}, {2}), Tensor::from_ids(std::vector<int32_t>{3}, {1})}, 0)
          .data<int32_t>()[2],
      3);
}

TEST(View, GatherRows) {
  const Tensor x = random({5, 2, 9}, 1), index = Tensor::from_ids(std::vector<int32_t>{4, 0, 4, 3}, {4});
  const Tensor y = gather_rows(x, index);
  EXPECT_EQ(y.shape(), (Shape{4, 2, 9}));
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(narrow(y, 0, i, 1).to_vector(), narrow(x, 0, index.data<int32_t>()[i], 1).to_vector());
  check_gradient([&](auto& in) { return gather_rows(in[0], index); }, {x});
  check_bf16([&](auto& in) { return gather_rows(in[0], index); }, {x});
  EXPECT_THROW(gather_rows(x, Tensor::from_ids(std::vector<int32_t>{5}, {1})), LogicError);
  EXPECT_THROW(gather_rows(x, Tensor::from_ids(std::vector<int32_t>{-1}, {1})), LogicError);
}

}  // namespace
}  // namespace baton::test
