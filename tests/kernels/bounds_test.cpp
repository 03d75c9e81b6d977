// Every SIMD kernel, for row lengths around the vector widths and both dtypes: writes each element of its outputs and
// nothing beside them.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "kernels/convert.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/norm.h"
#include "kernels/reduce.h"
#include "kernels/rope.h"
#include "tests/kernels/guarded.h"

namespace baton::test {
namespace {

namespace cpu = kernels::cpu;
using kernels::DType;
using kernels::View;

bool is_nan(const View& v, int64_t i) {
  if (v.dtype == DType::f32) return std::isnan(v.as<const float>()[i]);
  return (v.as<const uint16_t>()[i] & 0x7fff) > 0x7f80;
}

// Hands out inputs filled with ones and outputs, and looks at the outputs in the end.
class Tensors {
 public:
  View in(std::vector<int64_t> shape, DType dtype = DType::f32) {
    const View v = keep(shape, dtype);
    for (int64_t i = 0; i < v.numel(); ++i) {
      if (dtype == DType::f32)
        v.as<float>()[i] = 1 + static_cast<float>(i % 5);
      else
        v.as<uint16_t>()[i] = 0x3f80;
    }
    return v;
  }
  View ids(std::vector<int64_t> shape) {
    const View v = keep(shape, DType::i32);
    for (int64_t i = 0; i < v.numel(); ++i) v.as<int32_t>()[i] = static_cast<int32_t>(i % 3);
    return v;
  }
  View out(std::vector<int64_t> shape, DType dtype = DType::f32) {
    const View v = keep(shape, dtype);
    outputs_.push_back(v);
    return v;
  }
  void check(const char* kernel) const {
    for (const auto& t : all_) EXPECT_TRUE(t->intact()) << kernel;
    for (const View& v : outputs_)
      for (int64_t i = 0; i < v.numel(); ++i) ASSERT_FALSE(is_nan(v, i)) << kernel << " forgot element " << i;
  }

 private:
  View keep(const std::vector<int64_t>& shape, DType dtype) {
    all_.push_back(std::make_unique<Guarded>(shape, dtype));
    return all_.back()->view();
  }
  std::vector<std::unique_ptr<Guarded>> all_;
  std::vector<View> outputs_;
};

class Bounds : public testing::TestWithParam<std::tuple<int64_t, DType, DType>> {
 protected:
  int64_t d = std::get<0>(GetParam());
  DType from = std::get<1>(GetParam()), to = std::get<2>(GetParam());
};

TEST_P(Bounds, Copy) {
  Tensors t;
  cpu::copy({t.in({3, d}, from), t.out({3, d}, to)});
  View turned = t.in({d, 3}, from);
  std::swap(turned.shape[0], turned.shape[1]);
  std::swap(turned.stride[0], turned.stride[1]);
  cpu::copy({turned, t.out({3, d}, to)});
  t.check("copy");
}

TEST_P(Bounds, Elementwise) {
  Tensors t;
  const DType mixed = from == DType::bf16 && to == DType::bf16 ? DType::bf16 : DType::f32;
  for (const View& b : {t.in({2, 3, d}, to), t.in({d}, to), t.in({2, 3, 1}, to)})
    cpu::binary({kernels::Binary::mul, t.in({2, 3, d}, from), b, t.out({2, 3, d}, mixed)});
  t.check("binary");
  cpu::unary({kernels::Unary::silu, 0, 0, t.in({3, d}, from), t.out({3, d}, from)});
  cpu::unary_backward({kernels::Unary::silu, 0, 0, t.in({3, d}, from), t.in({3, d}, to), t.out({3, d}, from)});
  t.check("unary");
  const View x = t.in({2, 3, d}, from), y = t.in({2, 3, d}, to), gate = t.in({2, d}, to);
  cpu::gated_add({x, gate, y, t.out({2, 3, d}, from)});
  cpu::gated_add_backward({x, gate, y, t.out({2, d}), t.out({2, 3, d}, to)});
  t.check("gated_add");
}

TEST_P(Bounds, Norm) {
  for (const bool by_item : {false, true})
    for (const bool silu : {false, true}) {
      Tensors t;
      const std::vector<int64_t> columns = by_item ? std::vector<int64_t>{2, d} : std::vector<int64_t>{d};
      const View x = t.in({2, 3, d}, from), scale = t.in(columns, to), shift = t.in(columns, to),
                 dy = t.in({2, 3, d}, to);
      const View mean = t.out({6}), rstd = t.out({6});
      cpu::norm({kernels::Norm::layer, silu, 1e-3f, 1, x, scale, shift, t.out({2, 3, d}, to), mean, rstd});
      cpu::norm_backward({kernels::Norm::layer, silu, 1e-3f, 1, dy, x, scale, shift, mean, rstd, t.out({2, 3, d}, from),
                          t.out(columns), t.out(columns)});
      t.check("norm");
    }
}

TEST_P(Bounds, Rope) {
  Tensors t;
  cpu::rope({t.in({2, 3, 2, 2 * d}, from), t.in({3, d}), t.in({3, d}), t.out({2, 3, 2, 2 * d}, to), false});
  t.check("rope");
}

TEST_P(Bounds, Embedding) {
  Tensors t;
  cpu::gather_rows({t.in({3, d}, from), t.ids({5}), t.out({5, d}, to)});
  cpu::scatter_add_rows({t.in({5, d}, from), t.ids({5}), t.in({3, d})});
  t.check("embedding");
}

TEST_P(Bounds, SquaredError) {
  Tensors t;
  const View x = t.in({3, d}, from), target = t.in({3, d}, to);
  cpu::squared_error({x, target, t.out({3})});
  cpu::squared_error_backward({x, target, t.in({3}), t.out({3, d}, from)});
  t.check("squared_error");
}

INSTANTIATE_TEST_SUITE_P(RowLengths, Bounds,
                         testing::Combine(testing::Values(1, 7, 8, 9, 15, 16, 17, 33),
                                          testing::Values(DType::f32, DType::bf16),
                                          testing::Values(DType::f32, DType::bf16)));

}  // namespace
}  // namespace baton::test
