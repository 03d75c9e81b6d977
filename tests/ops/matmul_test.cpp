#include "tests/reference/matmul.h"
#include "engine/core/require.h"
#include "engine/ops/linear.h"
#include "tests/ops/op_test.h"

namespace baton {
namespace {

using test::random;

struct Case {
  Shape a, b;
  bool transpose_a, transpose_b;
};
class MatmulCases : public testing::TestWithParam<Case> {};

// Item by item, B shared where it has no batch.
std::vector<double> reference_matmul(const Case& c, const Tensor& a, const Tensor& b) {
  const int64_t a_size = a.dim(-2) * a.dim(-1), b_size = b.dim(-2) * b.dim(-1);
  const int64_t m = a.dim(c.transpose_a ? -1 : -2), k = a.dim(c.transpose_a ? -2 : -1),
                n = b.dim(c.transpose_b ? -2 : -1);
  const std::vector<float> a_values = a.to_vector(), b_values = b.to_vector();
  std::vector<double> result;
  for (int64_t item = 0; item < a.numel() / a_size; ++item) {
    const std::vector<float> a_item(a_values.begin() + item * a_size, a_values.begin() + (item + 1) * a_size);
    const int64_t b_start = b.rank() == 2 ? 0 : item * b_size;
    const std::vector<float> b_item(b_values.begin() + b_start, b_values.begin() + b_start + b_size);
    const reference::Matrix left{a_item, c.transpose_a ? 1 : k, c.transpose_a ? m : 1};
    const reference::Matrix right{b_item, c.transpose_b ? 1 : n, c.transpose_b ? k : 1};
    const auto part = reference::matmul(left, right, m, n, k);
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

TEST_P(MatmulCases, MatchesDoubleReference) {
  const Case c = GetParam();
  const Tensor a = random(c.a, 1), b = random(c.b, 2);
  test::expect_close(matmul(a, b, c.transpose_a, c.transpose_b), reference_matmul(c, a, b), 1e-5, "f32");
  const Tensor low_a = test::to_bf16(a), low_b = test::to_bf16(b);
  const auto wanted = reference_matmul(c, low_a, low_b);
  const Tensor low = matmul(low_a, low_b, c.transpose_a, c.transpose_b),
               high = matmul(low_a, low_b, c.transpose_a, c.transpose_b, DType::f32);
  EXPECT_EQ(low.dtype(), DType::bf16);
  test::expect_close(low, wanted, 0.004, "bf16");
  test::expect_close(high, wanted, 1e-5, "bf16 to f32");
}

TEST_P(MatmulCases, Gradient) {
  const Case c = GetParam();
  const auto f = [&](const auto& in) { return matmul(in[0], in[1], c.transpose_a, c.transpose_b); };
  test::check_gradient(f, {random(c.a, 1), random(c.b, 2)});
  test::check_bf16(f, {random(c.a, 1), random(c.b, 2)});
}

INSTANTIATE_TEST_SUITE_P(
    All, MatmulCases,
    testing::Values(Case{{3, 5}, {5, 4}, false, false}, Case{{5, 3}, {5, 4}, true, false},
                    Case{{3, 5}, {4, 5}, false, true}, Case{{5, 3}, {4, 5}, true, true},
                    Case{{2, 3, 5}, {5, 4}, false, false}, Case{{2, 5, 3}, {5, 4}, true, false},
                    Case{{2, 3, 5}, {4, 5}, false, true}, Case{{2, 5, 3}, {4, 5}, true, true},
                    Case{{2, 3, 5}, {2, 5, 4}, false, false}, Case{{2, 5, 3}, {2, 5, 4}, true, false},
                    Case{{2, 3, 5}, {2, 4, 5}, false, true}, Case{{2, 5, 3}, {2, 4, 5}, true, true},
                    Case{{2, 2, 17, 1}, {2, 2, 1, 3}, false, false}, Case{{1, 1, 7}, {1, 7, 1}, false, false},
                    Case{{33, 70}, {70, 65}, false, false}));

TEST(Matmul, RefusesWhatDoesNotFit) {
  EXPECT_THROW(matmul(random({3, 5}, 1), random({4, 5}, 2)), LogicError);
  EXPECT_THROW(matmul(random({2, 3, 5}, 1), random({3, 5, 4}, 2)), LogicError);
  EXPECT_THROW(matmul(random({3, 5}, 1), test::to_bf16(random({5, 4}, 2))), LogicError);
}

}  // namespace
}  // namespace baton
