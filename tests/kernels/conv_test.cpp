#include "kernels/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "tests/kernels/guarded.h"
#include "tests/reference/conv.h"

namespace baton::kernels {
namespace {

using reference::ConvSizes;
using test::Guarded;

// With a power of two.
void fill(const View& view, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  for (int64_t i = 0; i < view.numel(); ++i)
    if (view.dtype == DType::bf16)
      view.as<uint16_t>()[i] = static_cast<uint16_t>(bits >> 16);
    else
      view.as<float>()[i] = value;
}

double value(const View& view, int64_t i) {
  if (view.dtype == DType::f32) return view.as<float>()[i];
  const uint32_t wide = static_cast<uint32_t>(view.as<uint16_t>()[i]) << 16;
  float f32;
  std::memcpy(&f32, &wide, sizeof f32);
  return f32;
}

double total(const View& view) {
  double sum = 0;
  for (int64_t i = 0; i < view.numel(); ++i) sum += value(view, i);
  return sum;
}

class ConvKernel : public testing::TestWithParam<DType> {};

// With ones everywhere, x = w = dy = 1: every element of y, dx and dW counts how many products meet in it, and the
// three totals all count the same set of (output, kernel, input) triples.
TEST_P(ConvKernel, StaysInsideAndFillsEverything) {
  const DType dtype = GetParam();
  for (const ConvSizes& s :
       {ConvSizes{1, 5, 4, 1, 1, 3, 3, 1, 1, 1, 1, 1}, ConvSizes{2, 6, 7, 3, 17, 3, 3, 1, 1, 1, 1, 1},
        ConvSizes{1, 8, 6, 17, 3, 3, 3, 2, 0, 1, 0, 1}, ConvSizes{1, 7, 5, 16, 12, 2, 5, 1, 0, 1, 2, 2},
        ConvSizes{3, 9, 9, 32, 48, 1, 1, 2, 0, 0, 0, 0}}) {
    const Guarded x({s.batch, s.height, s.width, s.in}, dtype),
        y({s.batch, s.out_height(), s.out_width(), s.out}, dtype);
    const Guarded weight({s.out, s.in, s.kernel_height, s.kernel_width}, dtype);
    const Guarded dx({s.batch, s.height, s.width, s.in}, dtype),
        dw({s.out, s.in, s.kernel_height, s.kernel_width}, DType::f32);
    for (const Guarded* g : {&x, &weight}) fill(g->view(), 1);
    ConvArgs args{.x = x.view(), .weight = weight.view(), .y = y.view(), .stride = s.stride};
    args.top = s.top, args.bottom = s.bottom, args.left = s.left, args.right = s.right;
    cpu::conv2d(args);

    const std::vector<float> ones_x(x.view().numel(), 1.0f), ones_w(weight.view().numel(), 1.0f);
    const auto wanted = reference::conv2d(s, ones_x, ones_w, {});
    double products = 0;
    for (double count : wanted) products += count;
    for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(value(y.view(), i), wanted[i], 0.004 * wanted[i]) << i;

    fill(y.view(), 1);
    ConvArgs data = args, gradient = args;
    data.x = dx.view(), gradient.weight = dw.view();
    cpu::conv2d_backward_data(data);
    cpu::conv2d_backward_weight(gradient);
    EXPECT_NEAR(total(dx.view()), products, 0.004 * products);
    EXPECT_NEAR(total(dw.view()), products, 1e-6 * products);
    for (const Guarded* g : {&x, &y, &weight, &dx, &dw}) EXPECT_TRUE(g->intact());
  }
}

TEST_P(ConvKernel, RunsOnSeveralThreadsAtOnce) {
  const auto repeat = [&](float weight_value) {
    const Guarded x({1, 9, 9, 8}, GetParam()), weight({16, 8, 3, 3}, GetParam()), y({1, 7, 7, 16}, GetParam());
    fill(x.view(), 1);
    fill(weight.view(), weight_value);
    for (int round = 0; round < 1000; ++round) {
      fill(y.view(), 0.5f);
      cpu::conv2d({.x = x.view(), .weight = weight.view(), .y = y.view()});
      ASSERT_EQ(total(y.view()), weight_value * 72.0 * 7 * 7 * 16);
    }
  };
  std::vector<std::thread> threads;
  for (float weight_value : {1.0f, 2.0f, 4.0f, 8.0f}) threads.emplace_back(repeat, weight_value);
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(All, ConvKernel, testing::Values(DType::f32, DType::bf16));

}  // namespace
}  // namespace baton::kernels
