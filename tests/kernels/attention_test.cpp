#include "kernels/attention.h"

#include "kernels/cpu/targets.h"  // before Highway

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <random>

#include "hwy/highway.h"
#include "kernels/cpu/attention_plan.h"
#include "tests/kernels/guarded.h"
#include "tests/reference/attention.h"

namespace baton::test {
namespace {

using kernels::DType;
using kernels::View;

struct Case {
  int64_t B, Tq, Tk, H, D;
  bool causal = false, bias = false, count = false;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "B" << c.B << " Tq" << c.Tq << " Tk" << c.Tk << " H" << c.H << " D" << c.D
             << (c.causal ? " causal" : "") << (c.bias ? " bias" : "") << (c.count ? " count" : "");
}

std::vector<double> normal(int64_t n, int seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> draw;
  std::vector<double> values(n);
  for (double& value : values) value = static_cast<float>(draw(generator));
  return values;
}

// Guarded f32 memory with the given values.
struct Input : Guarded {
  Input(std::vector<int64_t> shape, const std::vector<double>& values) : Guarded(std::move(shape), DType::f32) {
    std::copy(values.begin(), values.end(), view().as<float>());
  }
};

void expect_close(const View& got, const std::vector<double>& wanted, const char* what) {
  double largest = 1, worst = 0;
  for (double value : wanted) largest = std::max(largest, std::abs(value));
  ASSERT_EQ(got.numel(), static_cast<int64_t>(wanted.size()));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double error = std::abs(got.as<float>()[i] - wanted[i]);
    ASSERT_FALSE(std::isnan(error)) << what << " element " << i;
    worst = std::max(worst, error);
  }
  EXPECT_LE(worst, 5e-6 * largest) << what;  // compilers contract differently
}

reference::Attention make_reference(const Case& c) {
  reference::Attention r{c.B, c.Tq, c.Tk, c.H, c.D, 1 / std::sqrt(static_cast<double>(c.D)), c.causal};
  r.q = normal(c.B * c.Tq * c.H * c.D, 1);
  r.k = normal(c.B * c.Tk * c.H * c.D, 2);
  r.v = normal(c.B * c.Tk * c.H * c.D, 3);
  if (c.bias) r.bias = normal(c.H * c.Tq * c.Tk, 4);
  if (c.count) {
    r.count.resize(c.B * c.Tk);
    for (size_t i = 0; i < r.count.size(); ++i) r.count[i] = static_cast<double>(i * 7 % 4);  // 0 … 3
    for (int64_t j = 0; j < c.Tk; ++j) r.count[(c.B - 1) * c.Tk + j] = 0;  // the last item sees nothing
  }
  return r;
}

// Forward and backward of the kernel against the reference, and nothing written outside the outputs.
void check_case(const Case& c) {
  reference::Attention r = make_reference(c);
  const std::vector<double> direction = normal(r.q.size(), 5);
  r.forward();
  r.backward(direction);

  const std::vector<int64_t> of_queries{c.B, c.Tq, c.H, c.D}, of_keys{c.B, c.Tk, c.H, c.D}, of_bias{c.H, c.Tq, c.Tk};
  const Input q(of_queries, r.q), k(of_keys, r.k), v(of_keys, r.v), grad_out(of_queries, direction);
  const Input bias(of_bias, r.bias), count({c.B, c.Tk}, r.count);
  const Guarded out(of_queries, DType::f32), lse({c.B, c.H, c.Tq}, DType::f32);
  const kernels::AttentionInputs in{q.view(),
                                    k.view(),
                                    v.view(),
                                    c.bias ? bias.view() : View(),
                                    c.count ? count.view() : View(),
                                    static_cast<float>(r.scale),
                                    c.causal};

  kernels::AttentionForwardArgs forward{in, out.view(), lse.view(), nullptr};
  const Guarded forward_scratch({kernels::cpu::attention_forward_scratch(forward)}, DType::f32);
  forward.scratch = forward_scratch.view().as<float>();
  kernels::cpu::attention_forward(forward);
  expect_close(out.view(), r.out, "out");

  const Guarded grad_q(of_queries, DType::f32), grad_k(of_keys, DType::f32), grad_v(of_keys, DType::f32);
  const Input grad_bias(of_bias, std::vector<double>(c.H * c.Tq * c.Tk, 0.0));
  kernels::AttentionBackwardArgs backward{in,
                                          out.view(),
                                          grad_out.view(),
                                          lse.view(),
                                          grad_q.view(),
                                          grad_k.view(),
                                          grad_v.view(),
                                          c.bias ? grad_bias.view() : View()};
  const Guarded backward_scratch({kernels::cpu::attention_backward_scratch(backward)}, DType::f32);
  backward.scratch = backward_scratch.view().as<float>();
  kernels::cpu::attention_backward(backward);
  expect_close(grad_q.view(), r.grad_q, "grad_q");
  expect_close(grad_k.view(), r.grad_k, "grad_k");
  expect_close(grad_v.view(), r.grad_v, "grad_v");
  if (c.bias) expect_close(grad_bias.view(), r.grad_bias, "grad_bias");

  for (const Guarded* memory : {&out, &lse, &forward_scratch, &grad_q, &grad_k, &grad_v, &backward_scratch})
    EXPECT_TRUE(memory->intact());
  EXPECT_TRUE(grad_bias.intact());
}

// Every case on every instruction set that this machine has.
class AttentionKernel : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { use(0); }
  static void use(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST_P(AttentionKernel, MatchesReference) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    use(target);
    check_case(GetParam());
  }
}

// Few items and heads: the keys are divided among the threads.
TEST_P(AttentionKernel, MatchesReferenceOnManyThreads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(7);
  check_case(GetParam());
  omp_set_num_threads(before);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int64_t T : {1, 15, 16, 17, 63, 65, 127, 130, 258}) {
    all.push_back({2, T, T, 2, 16});
    all.push_back({1, T, T, 1, 20, true});
    all.push_back({2, T, T, 2, 8, false, true, true});
    all.push_back({2, T, 24, 1, 64, false, false, true});
    all.push_back({2, 3, T, 2, 64, false, true, false});
  }
  for (const int64_t D : {1, 8, 16, 20, 64, 72, 128, 256, 384}) all.push_back({2, 67, 70, 1, D, false, true, true});
  all.push_back({1, 130, 300, 1, 16, false, true, true});
  all.push_back({1, 300, 300, 1, 16, true, true, false});
  all.push_back({2, 67, 67, 1, 20, true, false, true});  // key 0 is hidden: query 0 sees nothing
  return all;
}

// Tasks run at the same time: they may not add to the same element of the bias' gradient.
TEST(AttentionPlan, TasksShareNoBiasGradient) {
  kernels::AttentionBackwardArgs args{};
  args.in.q = Guarded({6, 5, 4, 8}, DType::f32).view();
  args.in.k = Guarded({6, 7, 4, 8}, DType::f32).view();
  EXPECT_EQ(kernels::cpu::BackwardPlan(args).groups, 6 * 4);
  args.grad_bias = Guarded({4, 5, 7}, DType::f32).view();
  EXPECT_EQ(kernels::cpu::BackwardPlan(args).groups, 4);
  args.grad_bias = Guarded({1, 5, 7}, DType::f32).view();
  EXPECT_EQ(kernels::cpu::BackwardPlan(args).groups, 1);
}

// No buffer of Tq x Tk: the forward pass needs the same tiles for any length, the backward pass at most a row of D
// numbers more for each query.
TEST(AttentionPlan, MemoryIsLinearInTheSequence) {
  const auto scratch = [](int64_t T) {
    kernels::AttentionBackwardArgs backward{};
    for (View* x : {&backward.in.q, &backward.in.k}) {
      const int64_t shape[] = {64, T, 4, 32};
      x->rank = 4;
      std::copy(shape, shape + 4, x->shape);
    }
    return std::pair(kernels::cpu::attention_forward_scratch({backward.in}),
                     kernels::cpu::attention_backward_scratch(backward));
  };
  const auto [forward, backward] = scratch(1000);
  const auto [forward_long, backward_long] = scratch(9000);
  EXPECT_EQ(forward, forward_long);
  EXPECT_EQ(backward_long - backward, 8000 * kernels::cpu::row_step(32) * omp_get_max_threads());
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionKernel, testing::ValuesIn(cases()));

}  // namespace
}  // namespace baton::test
