#include "engine/autograd/tape.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/autograd/cut.h"
#include "engine/ops/elementwise.h"

namespace baton {
namespace {

Tensor leaf(float value) {
  Tensor x = Tensor::full({2}, value);
  x.set_requires_grad(true);
  return x;
}

TEST(Tape, TellsWhenALeafIsFinal) {
  Tensor a = leaf(2), b = leaf(3), c = leaf(5);
  std::string order;
  const auto tell = [&](const char* name, float final) {
    return [&order, name, final](GradSlot& slot) {
      order += name;
      EXPECT_EQ(slot.grad.to_vector()[0], final) << name;
    };
  };
  a.slot()->on_ready = tell("a", 3 * 3 * 5);
  b.slot()->on_ready = tell("b", 2 * 2 * 3 * 5);
  c.slot()->on_ready = tell("c", 2 * 3 * 3);
  backward(a * b * b * c);  // b counts twice: final after its first use in the forward pass
  EXPECT_EQ(order.substr(0, 1), "c") << "known before the rest of the backward pass";
  EXPECT_EQ(order.size(), 3);
}

TEST(Tape, TellsOfLeavesBesideAPathWithoutGradient) {
  Tensor a = leaf(2), b = leaf(3);
  int told = 0;
  a.slot()->on_ready = [&](GradSlot&) { ++told; };
  const Tensor unused = a * b, used = a + b;
  const Tensor outputs[] = {unused, used}, gradients[] = {Tensor(), Tensor::full({2}, 1)};
  backward(outputs, gradients);
  EXPECT_EQ(told, 1);
}

TEST(Cut, BackwardGoesOnWithTheSumOfSeveralPasses) {
  Tensor x = leaf(2);
  Cut cut;
  const Tensor y = cut(x * x);  // 4, derivative 4
  backward(affine(y, 3));
  backward(affine(y, 5));
  EXPECT_FALSE(x.grad().defined());
  cut.backward();
  EXPECT_EQ(x.grad().to_vector()[0], (3 + 5) * 4);
}

}  // namespace
}  // namespace baton
