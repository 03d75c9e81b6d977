#include "engine/ops/reduce.h"

#include <omp.h>

#include <numeric>

#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "tests/ops/reference_check.h"

namespace baton::test {
namespace {

double total(const Values& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

// Means over all but the first dimension.
Values item_means(const Values& x, size_t items) {
  Values out(items);
  const size_t n = x.size() / items;
  for (size_t i = 0; i < x.size(); ++i) out[i / n] += x[i] / static_cast<double>(n);
  return out;
}

const std::vector<Shape> shapes{{1}, {7}, {16, 1}, {2, 17}, {3, 8, 33}, {2, 3, 1, 15}, {3, 70001}};

TEST(Reduce, SumAndMeans) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(fmt::format("{}", shape));
    const Tensor x = random(shape, 1);
    const size_t items = static_cast<size_t>(shape[0]);
    check_reference([](auto& in) { return sum(in[0]); }, [](auto& in) { return Values{total(in[0])}; }, {x}, 1e-5);
    check_reference([](auto& in) { return mean(in[0]); },
                    [](auto& in) { return Values{total(in[0]) / static_cast<double>(in[0].size())}; }, {x}, 1e-5);
    check_reference([](auto& in) { return mean_per_item(in[0]); }, [=](auto& in) { return item_means(in[0], items); },
                    {x}, 1e-5);
    check_bf16([](auto& in) { return mean_per_item(in[0]); }, {x});
    EXPECT_EQ(sum(to_bf16(x)).dtype(), DType::f32);
  }
  EXPECT_EQ(sum(random({2, 3}, 1)).rank(), 0);
  EXPECT_EQ(sum(random({}, 1)).item(), random({}, 1).item());
}

TEST(Reduce, MeanDim) {
  const Tensor x = random({5, 6, 17}, 1);
  for (int dim : {0, 1, 2, -1}) {
    const int d = (dim + 3) % 3;
    const int64_t inner = d == 0 ? 102 : d == 1 ? 17 : 1, size = x.dim(d);
    const Reference reference = [=](auto& in) {
      Values out(in[0].size() / size);
      for (size_t i = 0; i < in[0].size(); ++i)
        out[i / (inner * size) * inner + i % inner] += in[0][i] / static_cast<double>(size);
      return out;
    };
    check_reference([=](auto& in) { return mean_dim(in[0], dim); }, reference, {x}, 1e-5);
  }
  EXPECT_EQ(mean_dim(x, 1).shape(), (Shape{5, 17}));
  EXPECT_THROW(mean_dim(x, 3), LogicError);
}

TEST(Reduce, SquaredErrorPerItem) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(fmt::format("{}", shape));
    const Tensor x = random(shape, 1), target = random(shape, 2);
    const std::vector<float> t = target.to_vector();
    const Reference reference = [&](auto& in) {
      Values squares;
      for (size_t i = 0; i < t.size(); ++i) squares.push_back(std::pow(in[0][i] - t[i], 2));
      return item_means(squares, static_cast<size_t>(shape[0]));
    };
    check_reference([&](auto& in) { return squared_error_per_item(in[0], target); }, reference, {x});
    check_bf16([&](auto& in) { return squared_error_per_item(in[0], target); }, {x});
  }
  const Tensor wide = random({4, 9, 5}, 1), target = random({4, 3, 5}, 2);
  check_gradient([&](auto& in) { return squared_error_per_item(narrow(in[0], 1, 2, 3), target); }, {wide});
  EXPECT_THROW(squared_error_per_item(wide, target), LogicError);
}

TEST(Reduce, SameBitsForAnyNumberOfThreads) {
  const Tensor x = random({3, 150001}, 1), target = random({3, 150001}, 2);
  const int before = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    results.push_back({sum(x).item()});
    for (const Tensor& t : {mean_per_item(x), squared_error_per_item(x, target), mean_dim(x, 0)})
      for (float v : t.to_vector()) results.back().push_back(v);
  }
  omp_set_num_threads(before);
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
}

TEST(Reduce, AllFinite) {
  for (int64_t n : {1, 7, 16, 17, 50000}) {
    for (int64_t at : {int64_t{0}, n / 2, n - 1}) {
      Tensor x = random({n}, 1, 1e30f);
      EXPECT_TRUE(all_finite(x));
      EXPECT_TRUE(all_finite(to_bf16(x)));
      for (float bad : {NAN, INFINITY, -INFINITY}) {
        x.data<float>()[at] = bad;
        EXPECT_FALSE(all_finite(x));
        EXPECT_FALSE(all_finite(to_bf16(x)));
      }
    }
  }
  Tensor x = Tensor::zeros({2, 3});
  x.data<float>()[2] = NAN;
  EXPECT_TRUE(all_finite(narrow(x, 1, 0, 2)));
}

}  // namespace
}  // namespace baton::test
