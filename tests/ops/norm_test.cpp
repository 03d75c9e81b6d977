#include "engine/ops/norm.h"

#include <algorithm>

#include <omp.h>

#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "tests/ops/reference_check.h"
#include "tests/reference/norm.h"

namespace baton::test {
namespace {

constexpr float eps = 1e-3f;  // large, so that a forgotten eps is seen
double with_eps(double square) { return std::sqrt(square + eps); }
double one(size_t, size_t) { return 1; }
double zero(size_t, size_t) { return 0; }
auto column(const Values& v) {
  return [&v](size_t, size_t i) { return v[i]; };
}

const std::vector<int64_t> widths{1, 7, 8, 9, 15, 16, 17, 31, 33, 256};

TEST(Norm, LayerNorm) {
  for (int64_t d : widths) {
    SCOPED_TRACE(d);
    const NormReference norm{d, true, with_eps};
    const Tensor x = random({2, 3, d}, 1), weight = random({d}, 2), bias = random({d}, 3);
    check_reference([](auto& in) { return layer_norm(in[0], in[1], in[2], eps); },
                    [&](auto& in) { return norm(in[0], column(in[1]), column(in[2])); }, {x, weight, bias});
    check_reference([](auto& in) { return layer_norm(in[0], in[1], {}, eps); },
                    [&](auto& in) { return norm(in[0], column(in[1]), zero); }, {x, weight});
    check_reference([](auto& in) { return layer_norm(in[0], {}, {}, eps); },
                    [&](auto& in) { return norm(in[0], one, zero); }, {x});
    check_bf16([](auto& in) { return layer_norm(in[0], in[1], in[2], eps); }, {x, weight, bias}, 0.03);
  }
}

// The mean is far from zero: the variance must not be a difference of large sums.
TEST(Norm, LayerNormFarFromZero) {
  const NormReference norm{64, true, with_eps};
  Tensor x = random({5, 64}, 1);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 1000;
  expect_close(layer_norm(x, {}, {}, eps), norm(in_double({x})[0], one, zero), 1e-4);
}

TEST(Norm, RmsNorm) {
  for (int64_t d : widths) {
    SCOPED_TRACE(d);
    const NormReference norm{d, false, with_eps};
    const Tensor x = random({4, d}, 1), weight = random({d}, 2);
    check_reference([](auto& in) { return rms_norm(in[0], in[1], eps); },
                    [&](auto& in) { return norm(in[0], column(in[1]), zero); }, {x, weight});
    check_reference([](auto& in) { return rms_norm(in[0], {}, eps); }, [&](auto& in) { return norm(in[0], one, zero); },
                    {x});
    check_bf16([](auto& in) { return rms_norm(in[0], in[1], eps); }, {x, weight}, 0.03);
  }
}

TEST(Norm, ModulatedNorm) {
  for (int64_t d : widths) {
    SCOPED_TRACE(d);
    const NormReference norm{d, true, with_eps};
    const size_t times = 5, n = static_cast<size_t>(d);
    const auto item = [=](const Values& v, double offset) {
      return [&v, offset, n](size_t row, size_t i) { return offset + v[row / times * n + i]; };
    };
    const Tensor x = random({3, 5, d}, 1), scale = random({3, d}, 2), shift = random({3, d}, 3);
    const Function f = [](auto& in) { return modulated_norm(in[0], in[1], in[2], eps); };
    check_reference(f, [&](auto& in) { return norm(in[0], item(in[1], 1), item(in[2], 0)); }, {x, scale, shift});
    check_bf16(f, {x, scale, shift}, 0.03);
  }
}

TEST(Norm, L2Norm) {
  const auto length = [](double square) { return std::max(std::sqrt(square), 1e-12); };  // per sqrt(D)
  for (bool silu : {false, true})
    for (int64_t d : widths) {
      SCOPED_TRACE(d);
      const NormReference norm{d, false, length, silu};
      const Tensor x = random({4, d}, 1), weight = random({d}, 2);
      const Function f = [=](auto& in) { return l2_norm(in[0], in[1], silu); };
      check_reference(f, [&](auto& in) { return norm(in[0], column(in[1]), zero); }, {x, weight});
      check_bf16(f, {x, weight}, 0.04);
    }
  // Rows shorter than the limit are divided by a constant, and so is their gradient.
  const std::vector<float> tiny{0, 0, 0, 0, 4e-13f, -3e-13f, 5e-13f, 1e-13f};
  const auto got = run([](auto& in) { return l2_norm(in[0], {}, false); }, {Tensor::from(tiny, {2, 4})});
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(got.output.to_vector()[i], tiny[i] * 2e12, 1e-6);
    EXPECT_NEAR(got.gradients[0].to_vector()[i] / (got.direction.to_vector()[i] * 2e12), 1, 1e-5);
  }
}

// Enough rows for several chunks of column sums and several threads.
TEST(Norm, ManyRows) {
  const NormReference norm{96, true, with_eps};
  const Tensor x = random({2, 700, 96}, 1), weight = random({96}, 2), bias = random({96}, 3);
  check_reference([](auto& in) { return layer_norm(in[0], in[1], in[2], eps); },
                  [&](auto& in) { return norm(in[0], column(in[1]), column(in[2])); }, {x, weight, bias});
  const Tensor scale = random({2, 96}, 4), shift = random({2, 96}, 5);
  check_reference([](auto& in) { return modulated_norm(in[0], in[1], in[2], eps); },
                  [&](auto& in) {
                    return norm(
                        in[0], [&](size_t row, size_t i) { return 1 + in[1][row / 700 * 96 + i]; },
                        [&](size_t row, size_t i) { return in[2][row / 700 * 96 + i]; });
                  },
                  {x, scale, shift});
}

TEST(Norm, SameBitsForAnyNumberOfThreads) {
  const Tensor x = random({2, 700, 96}, 1), weight = random({96}, 2), scale = random({2, 96}, 4);
  const Function f = [](auto& in) { return modulated_norm(layer_norm(in[0], in[1], in[1], eps), in[2], in[2], eps); };
  const int before = omp_get_max_threads();
  std::vector<std::vector<float>> results[3];
  for (int i = 0; i < 3; ++i) {
    omp_set_num_threads(1 + 2 * i);
    const auto got = run(f, {x, weight, scale});
    results[i].push_back(got.output.to_vector());
    for (const Tensor& g : got.gradients) results[i].push_back(g.to_vector());
  }
  omp_set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Norm, ReadsWindowsInPlace) {
  const Tensor qkv = random({2, 5, 3 * 24}, 1), weight = random({24}, 2), table = random({2, 6, 24}, 3);
  const Tensor part = narrow(qkv, 2, 24, 24), copy = contiguous(part);
  EXPECT_EQ(rms_norm(part, weight, eps).to_vector(), rms_norm(copy, weight, eps).to_vector());
  const Tensor scale = reshape(narrow(table, 1, 1, 1), {2, 24}), shift = reshape(narrow(table, 1, 0, 1), {2, 24});
  EXPECT_EQ(modulated_norm(part, scale, shift, eps).to_vector(),
            modulated_norm(copy, contiguous(scale), contiguous(shift), eps).to_vector());
  const Tensor heads = reshape(part, {2, 5, 3, 8}), small = random({8}, 4);
  EXPECT_EQ(rms_norm(heads, small, eps).to_vector(), rms_norm(contiguous(heads), small, eps).to_vector());
  check_gradient(
      [](auto& in) {
        return rms_norm(reshape(narrow(in[0], 2, 24, 24), {2, 5, 3, 8}), in[1], eps);
      },
      {qkv, small});
  check_gradient(
      [](auto& in) {
        return layer_norm(permute(in[0], {1, 0}), in[1], {}, eps);
      },
      {random({6, 5}, 1), random({6}, 2)});
  check_gradient(
      [](auto& in) {
        return modulated_norm(in[0], reshape(narrow(in[1], 1, 1, 1), {2, 24}), reshape(narrow(in[1], 1, 0, 1), {2, 24}),
                              eps);
      },
      {random({2, 5, 24}, 1), table});
}

TEST(Norm, ResultDtype) {
  const Tensor x = random({3, 32}, 1), weight = random({32}, 2);
  const Tensor high = rms_norm(x, weight, eps), low = rms_norm(x, weight, eps, DType::bf16);
  EXPECT_EQ(low.dtype(), DType::bf16);
  expect_close(low, high.to_vector(), 0.004);
  EXPECT_EQ(rms_norm(to_bf16(x), weight, eps).dtype(), DType::bf16);
  EXPECT_EQ(rms_norm(to_bf16(x), weight, eps, DType::f32).dtype(), DType::f32);
}

TEST(Norm, WrongShapesAreRefused) {
  EXPECT_THROW(rms_norm(random({3, 32}, 1), random({31}, 2), eps), LogicError);
  EXPECT_THROW(layer_norm(random({3, 32}, 1), random({32}, 2), random({3, 32}, 2), eps), LogicError);
  EXPECT_THROW(modulated_norm(random({3, 32}, 1), random({3, 32}, 2), random({3, 32}, 2), eps), LogicError);
  EXPECT_THROW(modulated_norm(random({3, 2, 32}, 1), random({2, 32}, 2), random({3, 32}, 2), eps), LogicError);
}

TEST(Norm, NoTokensGiveZeroGradients) {
  const Tensor none = Tensor::empty({2, 0, 5});
  Tensor scale = random({2, 5}, 1), weight = random({5}, 2);
  scale.set_requires_grad(true);
  weight.set_requires_grad(true);
  backward(modulated_norm(none, scale, scale, 1e-6f), none);
  backward(rms_norm(none, weight, 1e-6f), none);
  EXPECT_EQ(scale.grad().to_vector(), std::vector<float>(10, 0.0f));
  EXPECT_EQ(weight.grad().to_vector(), std::vector<float>(5, 0.0f));
}

TEST(Norm, NoItemsGiveZeroGradients) {
  const Tensor none = Tensor::empty({0, 3, 5}), no_rows = Tensor::empty({0, 5});
  Tensor weight = random({5}, 2);
  weight.set_requires_grad(true);
  backward(layer_norm(none, weight, weight, 1e-6f), none);
  backward(rms_norm(none, weight, 1e-6f), none);
  EXPECT_EQ(weight.grad().to_vector(), std::vector<float>(5, 0.0f));
  EXPECT_EQ(modulated_norm(none, no_rows, no_rows, 1e-6f).shape(), none.shape());
}

// Both halves of the rows with the means of the whole ones, against the whole rows.
TEST(Norm, RmsNormOfPartsOfRows) {
  const Tensor x = random({2, 3, 8}, 1), weight = random({8}, 2), dy = random({2, 3, 8}, 3);
  const auto gradients = [&](int64_t first, int64_t size, const std::function<void(const Tensor&)>& average) {
    Tensor part = contiguous(narrow(x, 2, first, size)), own = contiguous(narrow(weight, 0, first, size));
    part.set_requires_grad(true);
    own.set_requires_grad(true);
    const Tensor y = average ? rms_norm(part, own, eps, average) : rms_norm(part, own, eps);
    backward(y, contiguous(narrow(dy, 2, first, size)));
    return std::array{y.detach(), part.grad(), own.grad()};
  };
  const auto whole = gradients(0, 8, {});
  // Of the whole rows: squares, and then dy weight (x rstd).
  std::vector<float> squares(6, 0), products(6, 0);
  for (int64_t row = 0; row < 6; ++row) {
    for (int64_t i = 0; i < 8; ++i) squares[row] += std::pow(x.to_vector()[row * 8 + i], 2.0f) / 8;
    for (int64_t i = 0; i < 8; ++i)
      products[row] += dy.to_vector()[row * 8 + i] * whole[0].to_vector()[row * 8 + i] / 8;
  }
  for (const auto& [first, size] : {std::pair<int64_t, int64_t>{0, 6}, {6, 2}}) {
    int calls = 0;
    const auto part = gradients(first, size, [&](const Tensor& means) {
      const std::vector<float>& known = calls++ == 0 ? squares : products;
      std::copy(known.begin(), known.end(), means.data<float>());
    });
    EXPECT_EQ(calls, 2);
    expect_close(part[0], contiguous(narrow(whole[0], 2, first, size)).to_vector(), 1e-6);
    expect_close(part[1], contiguous(narrow(whole[1], 2, first, size)).to_vector(), 1e-5);
    expect_close(part[2], contiguous(narrow(whole[2], 0, first, size)).to_vector(), 1e-6);
  }
}

}  // namespace
}  // namespace baton::test
