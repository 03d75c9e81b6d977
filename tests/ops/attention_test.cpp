#include "engine/ops/attention.h"

#include <omp.h>

#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "tests/ops/op_test.h"
#include "tests/reference/attention.h"

namespace baton::test {
namespace {

std::vector<double> in_double(const Tensor& t) {
  if (!t) return {};
  const std::vector<float> values = t.to_vector();
  return {values.begin(), values.end()};
}

reference::Attention reference_of(const Tensor& q, const Tensor& k, const Tensor& v,
                                  const AttentionOptions& options = {}) {
  reference::Attention r{q.dim(0), q.dim(1), k.dim(1), q.dim(2), q.dim(3)};
  r.scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(r.D));
  r.causal = options.causal;
  r.q = in_double(q), r.k = in_double(k), r.v = in_double(v);
  r.bias = in_double(options.bias), r.count = in_double(options.key_count);
  return r;
}

// in = {q, k, v} or {q, k, v, bias}.
Function with(AttentionOptions options) {
  return [options](auto& in) mutable {
    if (in.size() > 3) options.bias = in[3];
    return attention(in[0], in[1], in[2], options);
  };
}

// Output and all gradients against the reference, the gradients again after a second pass.
// A plain serial f32 attention errs by up to 2e-6 of the largest value at head size 384; sums in one lane (plain C++)
// come to twice that.
void check_reference(const std::vector<Tensor>& in, AttentionOptions options, double tolerance = 6e-6) {
  const auto once = run(with(options), in), twice = run(with(options), in, 2);
  if (in.size() > 3) options.bias = in[3];
  reference::Attention r = reference_of(in[0], in[1], in[2], options);
  r.forward();
  r.backward(in_double(once.direction));
  expect_close(once.output, r.out, tolerance, "output");
  const std::vector<double>* const wanted[] = {&r.grad_q, &r.grad_k, &r.grad_v, &r.grad_bias};
  for (size_t i = 0; i < in.size(); ++i) {
    const std::vector<float> gradient = once.gradients[i].to_vector();
    std::vector<float> doubled = gradient;
    for (float& value : doubled) value *= 2;
    expect_close(gradient, *wanted[i], tolerance, ("gradient of input " + std::to_string(i)).c_str(), 1.0);
    EXPECT_EQ(twice.gradients[i].to_vector(), doubled) << i;
  }
}

std::vector<Tensor> inputs(int64_t B, int64_t Tq, int64_t Tk, int64_t H, int64_t D) {
  return {random({B, Tq, H, D}, 1), random({B, Tk, H, D}, 2), random({B, Tk, H, D}, 3)};
}

TEST(Attention, MatchesReference) {
  for (const int64_t T : {1, 15, 16, 17, 63, 65, 127, 130, 258}) check_reference(inputs(2, T, T, 2, 16), {});
  for (const int64_t D : {1, 8, 16, 20, 64, 72, 128, 256, 384})
    check_reference(inputs(1, 19, 70, 1, D), {.scale = 0.3f});
  check_reference(inputs(2, 65, 65, 2, 8), {.causal = true});
}

TEST(Attention, BiasHasAGradientSummedOverTheBatch) {
  std::vector<Tensor> in = inputs(3, 17, 66, 2, 8);
  in.push_back(random({2, 17, 66}, 4));
  check_reference(in, {.scale = 1});
}

TEST(Attention, GradientsMatchFiniteDifferences) {
  std::vector<Tensor> in = inputs(2, 5, 7, 2, 6);
  check_gradient(with({}), in);
  in.push_back(random({1, 5, 7}, 4));  // one bias for all heads
  check_gradient(
      with({.key_count = Tensor::from(std::vector<float>{1, 2, 0, 1, 3, 1, 1, 0, 0, 1, 1, 5, 1, 0}, {2, 7})}), in);
  check_gradient(with({.causal = true}), inputs(2, 6, 6, 1, 4));
}

TEST(Attention, ReadsWindowsInPlace) {
  const int64_t H = 3, D = 20;
  const Tensor qkv = random({2, 33, 3 * H, D}, 1);  // as one linear layer gives it
  const Function fused = [&](auto& in) {
    return attention(narrow(in[0], 2, 0, H), narrow(in[0], 2, H, H), narrow(in[0], 2, 2 * H, H));
  };
  const Function copied = [&](auto& in) {
    return attention(contiguous(narrow(in[0], 2, 0, H)), contiguous(narrow(in[0], 2, H, H)),
                     contiguous(narrow(in[0], 2, 2 * H, H)));
  };
  const auto windows = run(fused, {qkv}), copies = run(copied, {qkv});
  EXPECT_TRUE(windows.output.is_contiguous());
  EXPECT_EQ(windows.output.to_vector(), copies.output.to_vector());
  EXPECT_EQ(windows.gradients[0].to_vector(), copies.gradients[0].to_vector());
  check_gradient(fused, {qkv});
  check_bf16(fused, {qkv});
}

TEST(Attention, KeysWithMultiplicityAreRepeatedKeys) {
  const std::vector<Tensor> in = inputs(2, 9, 5, 2, 16);
  const std::vector<int> times{3, 0, 1, 70, 2};
  std::vector<float> count;
  std::vector<int32_t> repeated;
  for (int item = 0; item < 2; ++item) count.insert(count.end(), times.begin(), times.end());
  for (int32_t key = 0; key < 5; ++key) repeated.insert(repeated.end(), times[key], key);
  const auto repeat = [&](const Tensor& x) {
    return permute(
        gather_rows(permute(x, {1, 0, 2, 3}), Tensor::from_ids(repeated, {static_cast<int64_t>(repeated.size())})),
        {1, 0, 2, 3});
  };
  const auto counted = run(with({.key_count = Tensor::from(count, {2, 5})}), in);
  const auto spelled = run([&](auto& in) { return attention(in[0], repeat(in[1]), repeat(in[2])); }, in);
  expect_close(counted.output, spelled.output.to_vector(), 1e-5);
  for (int i = 0; i < 3; ++i) expect_close(counted.gradients[i], spelled.gradients[i].to_vector(), 1e-5);
}

TEST(Attention, AQueryWithoutKeysGivesZeros) {
  const std::vector<Tensor> in = inputs(2, 9, 70, 2, 8);
  std::vector<float> count(2 * 70, 1.0f);
  std::fill(count.begin() + 70, count.end(), 0.0f);
  const AttentionOptions options{.key_count = Tensor::from(count, {2, 70})};
  check_reference(in, options);
  const auto result = run(with(options), in);
  const std::vector<float> out = result.output.to_vector(), grad_k = result.gradients[1].to_vector();
  for (size_t i = out.size() / 2; i < out.size(); ++i) EXPECT_EQ(out[i], 0);
  for (size_t i = grad_k.size() / 2; i < grad_k.size(); ++i) EXPECT_EQ(grad_k[i], 0);
  EXPECT_EQ(attention(random({2, 3, 1, 4}, 1), Tensor::empty({2, 0, 1, 4}), Tensor::empty({2, 0, 1, 4})).to_vector(),
            std::vector<float>(24, 0.0f));
}

TEST(Attention, SharedKeysServeEveryItem) {
  const Tensor q = random({3, 9, 2, 8}, 1), k = random({1, 11, 2, 8}, 2), v = random({1, 11, 2, 8}, 3);
  const Function shared = with({});
  const Function expanded = [](auto& in) {
    return attention(in[0], expand(in[1], {3, 11, 2, 8}), expand(in[2], {3, 11, 2, 8}));
  };
  const Function copied = [](auto& in) {
    return attention(in[0], concat({in[1], in[1], in[1]}, 0), concat({in[2], in[2], in[2]}, 0));
  };
  const auto wanted = run(copied, {q, k, v});
  for (const Function& f : {shared, expanded}) {
    const auto got = run(f, {q, k, v});
    EXPECT_EQ(got.output.to_vector(), wanted.output.to_vector());
    for (int i = 0; i < 3; ++i) expect_close(got.gradients[i], wanted.gradients[i].to_vector(), 1e-6);
  }
  check_gradient(shared, {q, k, v});
}

// In bf16 the result is at least as near to the exact one as a plain computation that rounds each intermediate to bf16.
TEST(Attention, Bf16IsNoWorseThanNaiveBf16) {
  std::vector<Tensor> in = inputs(2, 65, 70, 2, 64);
  for (Tensor& t : in) t = to_bf16(t);
  const auto got = run(with({}), in);
  EXPECT_EQ(got.output.dtype(), DType::bf16);
  reference::Attention exact = reference_of(in[0], in[1], in[2]), naive = exact;
  naive.round = [](double x) -> double { return bf16_to_f32(f32_to_bf16(static_cast<float>(x))); };
  for (auto* r : {&exact, &naive}) r->forward(), r->backward(in_double(got.direction));
  const auto expect_nearer = [](const Tensor& got, const std::vector<double>& naive, const std::vector<double>& exact,
                                const char* what) {
    const std::vector<float> values = got.to_vector();
    double error = 0, naive_error = 0, largest = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(values[i] - exact[i], 2), naive_error += std::pow(naive[i] - exact[i], 2);
      largest = std::max(largest, std::abs(exact[i]));
    }
    EXPECT_LE(error, naive_error) << what;
    expect_close(values, exact, 0.01, what);
  };
  expect_nearer(got.output, naive.out, exact.out, "output");
  expect_nearer(got.gradients[0], naive.grad_q, exact.grad_q, "gradient of q");
  expect_nearer(got.gradients[1], naive.grad_k, exact.grad_k, "gradient of k");
  expect_nearer(got.gradients[2], naive.grad_v, exact.grad_v, "gradient of v");
}

TEST(Attention, AnItemDoesNotDependOnItsBatchOrOnThreads) {
  const std::vector<Tensor> in = inputs(5, 70, 70, 2, 16);
  const std::vector<float> together = attention(in[0], in[1], in[2]).to_vector();
  const int before = omp_get_max_threads();
  for (const int threads : {1, 3, 16}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(attention(in[0], in[1], in[2]).to_vector(), together) << threads;
    for (int64_t b = 0; b < 5; ++b) {
      const std::vector<float> alone =
          attention(narrow(in[0], 0, b, 1), narrow(in[1], 0, b, 1), narrow(in[2], 0, b, 1)).to_vector();
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + b * alone.size())) << b;
    }
  }
  omp_set_num_threads(before);
}

TEST(Attention, OnlyWantedGradientsAreMade) {
  const std::vector<Tensor> in = inputs(2, 9, 11, 2, 8);
  const auto all = run(with({}), in);
  for (size_t wanted = 0; wanted < 3; ++wanted) {
    std::vector<Tensor> leaves;
    for (size_t i = 0; i < 3; ++i) leaves.push_back(in[i].detach()), leaves[i].set_requires_grad(i == wanted);
    backward(attention(leaves[0], leaves[1], leaves[2]), all.direction);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(leaves[i].grad().defined(), i == wanted);
    EXPECT_EQ(leaves[wanted].grad().to_vector(), all.gradients[wanted].to_vector());
  }
}

TEST(Attention, NotANumberIsNotHidden) {
  std::vector<Tensor> in = inputs(1, 3, 20, 1, 8);
  in[1].data<float>()[5] = NAN;
  for (const float value : attention(in[0], in[1], in[2]).to_vector()) EXPECT_TRUE(std::isnan(value));
}

TEST(Attention, WrongInputsAreRefused) {
  const std::vector<Tensor> in = inputs(2, 3, 4, 2, 8);
  EXPECT_THROW(attention(in[0], in[1], random({2, 5, 2, 8}, 1)), LogicError);
  EXPECT_THROW(attention(in[0], random({2, 4, 1, 8}, 1), random({2, 4, 1, 8}, 1)), LogicError);
  EXPECT_THROW(attention(in[0], random({3, 4, 2, 8}, 1), random({3, 4, 2, 8}, 1)), LogicError);
  EXPECT_THROW(attention(in[0], to_bf16(in[1]), in[2]), LogicError);
  EXPECT_THROW(attention(in[0], in[1], in[2], {.causal = true}), LogicError);
  EXPECT_THROW(attention(in[0], in[1], in[2], {.bias = random({3, 3, 4}, 1)}), LogicError);
  EXPECT_THROW(attention(in[0], in[1], in[2], {.key_count = random({2, 3}, 1)}), LogicError);
  EXPECT_THROW(attention(in[0].alias({2, 3, 2, 4}, {48, 16, 8, 2}), random({2, 4, 2, 4}, 1), random({2, 4, 2, 4}, 1)),
               LogicError);
}

}  // namespace
}  // namespace baton::test
