#include "engine/ops/rope.h"

#include "engine/core/require.h"
#include "engine/ops/view.h"
#include "tests/ops/reference_check.h"

namespace baton::test {
namespace {

struct Table {
  Tensor cos, sin;
};
Table table(int64_t times, int64_t d) {
  Table t{random({times, d / 2}, 7), Tensor::empty({times, d / 2})};
  for (int64_t i = 0; i < t.cos.numel(); ++i) {
    const float angle = t.cos.data<float>()[i];
    t.cos.data<float>()[i] = std::cos(angle);
    t.sin.data<float>()[i] = std::sin(angle);
  }
  return t;
}

// x [B, T, H, D]
Values rotate(const Values& x, const Table& t, int64_t heads) {
  const int64_t times = t.cos.dim(0), half = t.cos.dim(1);
  Values y(x.size());
  for (size_t k = 0; k < x.size(); k += 2) {
    const int64_t pair = static_cast<int64_t>(k) / 2, at = pair / half / heads % times * half + pair % half;
    const double c = t.cos.data<float>()[at], s = t.sin.data<float>()[at];
    y[k] = x[k] * c - x[k + 1] * s;
    y[k + 1] = x[k] * s + x[k + 1] * c;
  }
  return y;
}

TEST(Rope, RotatesPairs) {
  for (int64_t d : {2, 6, 8, 10, 14, 16, 18, 30, 32, 64, 128}) {
    SCOPED_TRACE(d);
    const Table t = table(5, d);
    const Function f = [&](auto& in) { return rope(in[0], t.cos, t.sin); };
    check_reference(f, [&](auto& in) { return rotate(in[0], t, 3); }, {random({2, 5, 3, d}, 1)});
    check_bf16(f, {random({2, 5, 3, d}, 1)});
  }
}

TEST(Rope, ReadsWindowsInPlace) {
  const Table t = table(40, 16);
  const Tensor wide = random({3, 40, 5, 48}, 1), part = narrow(wide, 3, 16, 16);
  const Tensor got = rope(part, t.cos, t.sin);
  EXPECT_TRUE(got.is_contiguous());
  EXPECT_EQ(got.to_vector(), rope(contiguous(part), t.cos, t.sin).to_vector());
  check_gradient([&](auto& in) { return rope(narrow(in[0], 3, 16, 16), t.cos, t.sin); }, {wide});
}

TEST(Rope, WrongShapesAreRefused) {
  const Table t = table(5, 8);
  EXPECT_THROW(rope(random({2, 5, 8}, 1), t.cos, t.sin), LogicError);
  EXPECT_THROW(rope(random({2, 5, 3, 7}, 1), t.cos, t.sin), LogicError);
  EXPECT_THROW(rope(random({2, 4, 3, 8}, 1), t.cos, t.sin), LogicError);
}

}  // namespace
}  // namespace baton::test
