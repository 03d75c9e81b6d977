#include "kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "kernels/cpu/targets.h"
//
#include "hwy/foreach_target.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/partial_sums.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/strided.h"
#include "kernels/cpu/thread_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace baton::kernels::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t block = 4096;

struct Add {
  Vector operator()(Vector a, Vector b) const { return hn::Add(a, b); }
};
struct Sub {
  Vector operator()(Vector a, Vector b) const { return hn::Sub(a, b); }
};
struct Mul {
  Vector operator()(Vector a, Vector b) const { return hn::Mul(a, b); }
};

// One row, with strides of 1 or 0 (a repeated value); others are gathered element by element.
template <typename Op, typename A, typename B, typename Out>
void binary_row(Op op, const A* a, int64_t step_a, const B* b, int64_t step_b, Out* out, int64_t n) {
  const auto at = [](const auto* p, int64_t i) HWY_ATTR { return hn::Set(lanes, hn::GetLane(load(p + i, First{1}))); };
  if (step_a == 1 && step_b == 1) {
    for_each_vector(n, [&](int64_t i, auto part) { store(op(load(a + i, part), load(b + i, part)), out + i, part); });
  } else if (step_a == 1 && step_b == 0) {
    const Vector same = at(b, 0);
    for_each_vector(n, [&](int64_t i, auto part) { store(op(load(a + i, part), same), out + i, part); });
  } else if (step_a == 0 && step_b == 1) {
    const Vector same = at(a, 0);
    for_each_vector(n, [&](int64_t i, auto part) { store(op(same, load(b + i, part)), out + i, part); });
  } else {
    for (int64_t i = 0; i < n; ++i) store(op(at(a, i * step_a), at(b, i * step_b)), out + i, First{1});
  }
}

template <typename Op, typename A, typename B>
void binary_as(Op op, const BinaryArgs& args, const Loops<3>& loops) {
  using Out = std::conditional_t<std::is_same_v<A, bf16> && std::is_same_v<B, bf16>, bf16, float>;
  const int64_t n = loops.inner(), blocks = (n + block - 1) / block;
  const int64_t step_a = loops.inner_stride(0), step_b = loops.inner_stride(1);
  parallel_for(loops.rows() * blocks, std::min(n, block) + 8, [&](int64_t begin, int64_t end, int) {
    RowCursor<3> row(loops, begin / blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t start = task % blocks * block;
      binary_row(op, args.a.as<const A>() + row.offset(0) + start * step_a, step_a,
                 args.b.as<const B>() + row.offset(1) + start * step_b, step_b,
                 args.out.as<Out>() + row.offset(2) + start, std::min(block, n - start));
      if (start + block >= n) row.next();
    }
  });
}

void binary_here(const BinaryArgs& args) {
  if (args.out.numel() == 0) return;
  const auto a = broadcast_strides(args.a, args.out.rank), b = broadcast_strides(args.b, args.out.rank);
  Loops<3> loops;
  for (int i = 0; i < args.out.rank; ++i) loops.add(args.out.shape[i], {a[i], b[i], args.out.stride[i]});
  loops.finish();
  const auto run = [&](auto op) {
    with_type(args.a.dtype, [&](auto type_a) {
      with_type(args.b.dtype,
                [&](auto type_b) { binary_as<decltype(op), decltype(type_a), decltype(type_b)>(op, args, loops); });
    });
  };
  switch (args.op) {
    case Binary::add:
      return run(Add());
    case Binary::sub:
      return run(Sub());
    case Binary::mul:
      return run(Mul());
  }
}

// Functions of one variable: value f(x) and slope f'(x).
struct Affine {
  Vector a, b;
  Vector value(Vector x) const { return hn::MulAdd(a, x, b); }
  Vector slope(Vector) const { return a; }
};
// x sigmoid(k(x)), with k an odd polynomial: the slope is s + x s (1 - s) k'(x).
HWY_INLINE Vector gated_slope(Vector x, Vector s, Vector k_slope) {
  return hn::MulAdd(hn::Mul(hn::Mul(x, s), hn::Sub(constant(1), s)), k_slope, s);
}
// 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
struct GeluTanh {
  static constexpr float twice = 1.59576912f, cubic = twice * 0.044715f;
  static Vector gate(Vector x, Vector square) {
    return sigmoid(hn::Mul(x, hn::MulAdd(square, constant(cubic), constant(twice))));
  }
  Vector value(Vector x) const { return hn::Mul(x, gate(x, hn::Mul(x, x))); }
  Vector slope(Vector x) const {
    const Vector square = hn::Mul(x, x);
    return gated_slope(x, gate(x, square), hn::MulAdd(square, constant(3 * cubic), constant(twice)));
  }
};
struct Gelu {
  Vector value(Vector x) const { return hn::Mul(x, normal(x).cumulative); }
  Vector slope(Vector x) const {
    const Normal n = normal(x);
    return hn::MulAdd(hn::Mul(x, n.bell), constant(0.398942280f), n.cumulative);
  }
};
struct QuickGelu {
  static constexpr float factor = 1.702f;
  static Vector gate(Vector x) { return sigmoid(hn::Mul(x, constant(factor))); }
  Vector value(Vector x) const { return hn::Mul(x, gate(x)); }
  Vector slope(Vector x) const { return gated_slope(x, gate(x), constant(factor)); }
};
struct Silu {
  Vector value(Vector x) const { return hn::Mul(x, sigmoid(x)); }
  Vector slope(Vector x) const { return gated_slope(x, sigmoid(x), constant(1)); }
};
struct Relu {
  Vector value(Vector x) const { return at_least(hn::Zero(lanes), x); }
  Vector slope(Vector x) const { return hn::IfThenElseZero(hn::Gt(x, hn::Zero(lanes)), constant(1)); }
};
struct Exp {
  Vector value(Vector x) const { return exp_of(x); }
  Vector slope(Vector x) const { return exp_of(x); }
};
struct Square {
  Vector value(Vector x) const { return hn::Mul(x, x); }
  Vector slope(Vector x) const { return hn::Add(x, x); }
};
struct Abs {
  Vector value(Vector x) const { return hn::Abs(x); }
  Vector slope(Vector x) const {
    return hn::IfThenZeroElse(hn::Eq(x, hn::Zero(lanes)), hn::CopySignToAbs(constant(1), x));
  }
};
struct Rsqrt {
  Vector value(Vector x) const { return hn::Div(constant(1), hn::Sqrt(x)); }
  Vector slope(Vector x) const { return hn::Mul(constant(-0.5f), hn::Div(value(x), x)); }
};
struct Clamp {
  Vector low, high;
  Vector value(Vector x) const { return at_most(high, at_least(low, x)); }
  Vector slope(Vector x) const { return hn::IfThenElseZero(hn::And(hn::Ge(x, low), hn::Le(x, high)), constant(1)); }
};

// run(function)
template <typename Run>
void with_function(Unary op, float a, float b, const Run& run) {
  switch (op) {
    case Unary::affine:
      return run(Affine{constant(a), constant(b)});
    case Unary::gelu_tanh:
      return run(GeluTanh());
    case Unary::gelu:
      return run(Gelu());
    case Unary::quick_gelu:
      return run(QuickGelu());
    case Unary::silu:
      return run(Silu());
    case Unary::relu:
      return run(Relu());
    case Unary::exp:
      return run(Exp());
    case Unary::square:
      return run(Square());
    case Unary::abs:
      return run(Abs());
    case Unary::rsqrt:
      return run(Rsqrt());
    case Unary::clamp:
      return run(Clamp{constant(a), constant(b)});
  }
}

void unary_here(const UnaryArgs& args) {
  with_function(args.op, args.a, args.b, [&](auto f) {
    with_type(args.x.dtype, [&](auto type) {
      const auto* x = args.x.as<const decltype(type)>();
      auto* y = args.y.as<decltype(type)>();
      parallel_for(args.x.numel(), 4, [&](int64_t begin, int64_t end, int) {
        for_each_vector(end - begin,
                        [&](int64_t i, auto part) { store(f.value(load(x + begin + i, part)), y + begin + i, part); });
      });
    });
  });
}

void unary_backward_here(const UnaryBackwardArgs& args) {
  with_function(args.op, args.a, args.b, [&](auto f) {
    with_type(args.x.dtype, [&](auto type) {
      with_type(args.dy.dtype, [&](auto gradient_type) {
        const auto* x = args.x.as<const decltype(type)>();
        const auto* dy = args.dy.as<const decltype(gradient_type)>();
        auto* dx = args.dx.as<decltype(type)>();
        parallel_for(args.x.numel(), 4, [&](int64_t begin, int64_t end, int) {
          for_each_vector(end - begin, [&](int64_t i, auto part) {
            const Vector slope = f.slope(load(x + begin + i, part));
            store(hn::Mul(slope, load(dy + begin + i, part)), dx + begin + i, part);
          });
        });
      });
    });
  });
}

// Row b of a [B, D] tensor as f32.
HWY_INLINE const float* gate_row(const View& gate, int64_t b, float* scratch) {
  return fetch(gate, b * gate.stride[0], 1, gate.shape[1], scratch);
}

void gated_add_here(const GatedAddArgs& args) {
  const int64_t times = args.x.shape[1], d = args.x.shape[2];
  const ThreadScratch scratch(d);
  with_type(args.x.dtype, [&](auto type_x) {
    with_type(args.y.dtype, [&](auto type_y) {
      const auto* x = args.x.as<const decltype(type_x)>();
      const auto* y = args.y.as<const decltype(type_y)>();
      auto* out = args.out.as<decltype(type_x)>();
      parallel_for(args.x.shape[0] * times, d, [&](int64_t begin, int64_t end, int thread) {
        const float* gate = nullptr;
        for (int64_t row = begin; row < end; ++row) {
          if (!gate || row % times == 0) gate = gate_row(args.gate, row / times, scratch.of(thread));
          for_each_vector(d, [&](int64_t i, auto part) {
            const int64_t at = row * d + i;
            store(hn::MulAdd(load(gate + i, part), load(y + at, part), load(x + at, part)), out + at, part);
          });
        }
      });
    });
  });
}

// Rows [begin, end) of one item: dy = gate dout, sums (+)= dout y. Either target may be null.
template <typename G, typename Y>
void gated_add_backward_rows(const G* dout, const float* gate, const Y* y, Y* dy, float* sums, int64_t rows,
                             int64_t d) {
  for (int64_t row = 0; row < rows; ++row, dout += d, y += d) {
    for_each_vector(d, [&](int64_t i, auto part) {
      const Vector g = load(dout + i, part);
      if (dy) store(hn::Mul(load(gate + i, part), g), dy + row * d + i, part);
      if (sums) store(hn::MulAdd(g, load(y + i, part), load(sums + i, part)), sums + i, part);
    });
  }
}

void gated_add_backward_here(const GatedAddBackwardArgs& args) {
  const int64_t batch = args.dout.shape[0], times = args.dout.shape[1], d = args.dout.shape[2];
  const Chunks chunks(times, d);
  PartialSums partial(batch, chunks.count, d, args.dgate.as<float>());
  const ThreadScratch scratch(d);
  with_type(args.dout.dtype, [&](auto gradient_type) {
    with_type(args.y.dtype, [&](auto type) {
      using Y = decltype(type);
      parallel_for(batch * chunks.count, std::min(chunks.size, times) * d, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t b = task / chunks.count, first = task % chunks.count * chunks.size;
          const int64_t start = (b * times + first) * d, rows = std::min(chunks.size, times - first);
          gated_add_backward_rows(args.dout.as<const decltype(gradient_type)>() + start,
                                  gate_row(args.gate, b, scratch.of(thread)), args.y.as<const Y>() + start,
                                  args.dy ? args.dy.as<Y>() + start : nullptr, partial.zeroed(b, task % chunks.count),
                                  rows, d);
        }
      });
    });
  });
  partial.finish();
}

}  // namespace
}  // namespace baton::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton::kernels::cpu {
HWY_EXPORT(binary_here);
HWY_EXPORT(unary_here);
HWY_EXPORT(unary_backward_here);
HWY_EXPORT(gated_add_here);
HWY_EXPORT(gated_add_backward_here);
void binary(const BinaryArgs& args) { HWY_DYNAMIC_DISPATCH(binary_here)(args); }
void unary(const UnaryArgs& args) { HWY_DYNAMIC_DISPATCH(unary_here)(args); }
void unary_backward(const UnaryBackwardArgs& args) { HWY_DYNAMIC_DISPATCH(unary_backward_here)(args); }
void gated_add(const GatedAddArgs& args) { HWY_DYNAMIC_DISPATCH(gated_add_here)(args); }
void gated_add_backward(const GatedAddBackwardArgs& args) { HWY_DYNAMIC_DISPATCH(gated_add_backward_here)(args); }
}  // namespace baton::kernels::cpu
#endif
