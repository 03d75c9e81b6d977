#include "engine/ops/embedding.h"

#include "engine/core/require.h"
#include "tests/ops/reference_check.h"

namespace baton::test {
namespace {

Tensor some_ids(int64_t count, int64_t rows, const Shape& shape) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(random_below(rows, 5, 0, i)));
  return Tensor::from_ids(ids, shape);
}

TEST(Embedding, PicksRowsAndScattersGradients) {
  for (int64_t d : {1, 7, 8, 16, 33, 300}) {
    SCOPED_TRACE(d);
    const Tensor ids = some_ids(300, 40, {20, 15}), table = random({40, d}, 1);
    const Function f = [&](auto& in) { return embedding(ids, in[0]); };
    const auto got = run(f, {table});
    EXPECT_EQ(got.output.shape(), (Shape{20, 15, d}));
    Values rows, gradient(table.numel());
    const std::vector<float> direction = got.direction.to_vector();
    for (int64_t n = 0; n < ids.numel(); ++n)
      for (int64_t i = 0; i < d; ++i) {
        const int64_t at = ids.data<int32_t>()[n] * d + i;
        rows.push_back(table.data<float>()[at]);
        gradient[at] += direction[n * d + i];
      }
    expect_close(got.output, rows, 0);
    expect_close(got.gradients[0], gradient, 1e-6);
    check_bf16(f, {table});
  }
}

TEST(Embedding, ResultDtype) {
  const Tensor ids = some_ids(6, 9, {6}), table = random({9, 20}, 1);
  EXPECT_EQ(embedding(ids, table, DType::bf16).dtype(), DType::bf16);
  EXPECT_EQ(embedding(ids, to_bf16(table), DType::f32).to_vector(), embedding(ids, to_bf16(table)).to_vector());
  EXPECT_EQ(run([&](auto& in) { return embedding(ids, in[0]); }, {to_bf16(table)}).gradients[0].dtype(), DType::f32);
}

TEST(Embedding, IdsOutsideTheTableAreNamed) {
  try {
    embedding(Tensor::from_ids(std::vector<int32_t>{1, 2, 5999, 7000}, {2, 2}), Tensor::zeros({6000, 4}));
    FAIL();
  } catch (const LogicError& error) {
    EXPECT_TRUE(
        std::string(error.what()).starts_with("embedding: id 7000 at position 3 is outside the table of 6000 rows"))
        << error.what();
  }
  EXPECT_THROW(embedding(Tensor::from_ids(std::vector<int32_t>{-1}, {1}), Tensor::zeros({5, 4})), LogicError);
  EXPECT_THROW(embedding(random({2}, 1), Tensor::zeros({5, 4})), LogicError);
}

TEST(TimestepEmbedding, CosinesThenSines) {
  const Tensor t = Tensor::from(std::vector<float>{0, 1, 500.5f, 999}, {4});
  const std::vector<float> got = timestep_embedding(t, 6).to_vector();
  ASSERT_EQ(got.size(), 24u);
  for (int64_t b = 0; b < 4; ++b)
    for (int64_t i = 0; i < 3; ++i) {
      const double angle = t.data<float>()[b] * std::pow(10000.0, -static_cast<double>(i) / 3);
      EXPECT_NEAR(got[b * 6 + i], std::cos(angle), 1e-4);
      EXPECT_NEAR(got[b * 6 + 3 + i], std::sin(angle), 1e-4);
    }
  EXPECT_THROW(timestep_embedding(t, 5), LogicError);
}

}  // namespace
}  // namespace baton::test
