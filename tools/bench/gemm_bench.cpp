// Linear layers and convolutions, forward and backward, in GFLOP/s: `best` is that of the fastest call, `mean` of them
// all.
//   gemm_bench --benchmark_filter='linear.*/bf16:1'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/ops/conv.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/linear.h"

namespace baton {
namespace {

Tensor random(Shape shape, bool bf16, uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape));
  random_normal(std::span(t.data<float>(), t.numel()), seed, 0);
  return bf16 ? cast(t, DType::bf16) : t;
}

// Times body() and reports its rate, given the floating point operations of one call.
template <typename Body>
void measure(benchmark::State& state, double operations, const Body& body) {
  using Clock = std::chrono::steady_clock;
  body();
  double best = 1e30, total = 0;
  int64_t calls = 0;
  for (auto _ : state) {
    const auto start = Clock::now();
    body();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    total += seconds;
    ++calls;
  }
  state.counters["best"] = operations / best * 1e-9;
  state.counters["mean"] = operations * static_cast<double>(calls) / total * 1e-9;
  state.counters["best_us"] = best * 1e6;
}

struct Product {
  int64_t m, n, k;
  bool bf16;
  Tensor x, weight, bias;
  explicit Product(const benchmark::State& state)
      : m(state.range(0)),
        n(state.range(1)),
        k(state.range(2)),
        bf16(state.range(3) != 0),
        x(random({m, k}, bf16, 1)),
        weight(random({n, k}, bf16, 2)),
        bias(random({n}, false, 3)) {}
  double operations() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
};

void linear_plain(benchmark::State& state) {
  const Product sizes(state);
  measure(state, sizes.operations(), [&] { linear(sizes.x, sizes.weight, sizes.bias); });
}

void linear_packed(benchmark::State& state) {
  const Product sizes(state);
  const PackedWeight packed(sizes.weight, sizes.x.dtype());
  measure(state, sizes.operations(), [&] { linear(sizes.x, packed, sizes.bias); });
}

void linear_packed_gelu(benchmark::State& state) {
  const Product sizes(state);
  const PackedWeight packed(sizes.weight, sizes.x.dtype());
  measure(state, sizes.operations(), [&] { linear(sizes.x, packed, sizes.bias, Activation::gelu_tanh); });
}

// The backward pass alone: dx, dW, or both with db.
void linear_backward(benchmark::State& state, bool data, bool weight, bool bias) {
  Product sizes(state);
  sizes.x.set_requires_grad(data);
  sizes.weight.set_requires_grad(weight);
  sizes.bias.set_requires_grad(bias);
  const Tensor dy = random({sizes.m, sizes.n}, sizes.bf16, 4);
  using Clock = std::chrono::steady_clock;
  double best = 1e30, total = 0;
  int64_t calls = 0;
  for (auto _ : state) {
    const Tensor y = linear(sizes.x, sizes.weight, sizes.bias);
    sizes.x.clear_grad(), sizes.weight.clear_grad(), sizes.bias.clear_grad();
    const auto start = Clock::now();
    backward(y, dy);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds), total += seconds, ++calls;
  }
  const double operations = sizes.operations() * (data + weight);
  state.counters["best"] = operations / best * 1e-9;
  state.counters["mean"] = operations * static_cast<double>(calls) / total * 1e-9;
  state.counters["best_us"] = best * 1e6;
}
void linear_backward_data(benchmark::State& state) { linear_backward(state, true, false, false); }
void linear_backward_weight(benchmark::State& state) { linear_backward(state, false, true, false); }
void linear_backward_all(benchmark::State& state) { linear_backward(state, true, true, true); }

void linear_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"M", "N", "K", "bf16"})->MinTime(0.2);
  const std::pair<int64_t, int64_t> layers[] = {{256, 256},  {768, 256},   {1024, 256},
                                                {256, 1024}, {1536, 1536}, {8960, 1536}};
  for (int64_t bf16 : {0, 1})
    for (const auto& [n, k] : layers)
      for (int64_t m : {64, 128, 1024, 4096}) b->Args({m, n, k, bf16});
}

BENCHMARK(linear_plain)->Apply(linear_sizes);
BENCHMARK(linear_packed)->Apply(linear_sizes);
BENCHMARK(linear_packed_gelu)
    ->Args({64, 1024, 256, 0})
    ->Args({64, 1024, 256, 1})
    ->Args({2048, 1024, 256, 0})
    ->Args({2048, 1024, 256, 1});
BENCHMARK(linear_packed)->Name("call_overhead")->Args({1, 16, 16, 0});
BENCHMARK(linear_backward_data)->Apply(linear_sizes);
BENCHMARK(linear_backward_weight)->Apply(linear_sizes);
BENCHMARK(linear_backward_all)->Apply(linear_sizes);

// [B, size, size, in] with a k x k kernel, stride 1; the passes are forward, forward and backward.
void convolution(benchmark::State& state) {
  const int64_t batch = state.range(0), size = state.range(1), in = state.range(2), out = state.range(3),
                kernel = state.range(4);
  const bool bf16 = state.range(5) != 0, recorded = state.range(6) != 0;
  const int border = static_cast<int>(kernel / 2);
  const Padding padding{border, border, border, border};
  Tensor x = random({batch, size, size, in}, bf16, 1), weight = random({out, in, kernel, kernel}, bf16, 2),
         bias = random({out}, false, 3);
  const Tensor dy = random({batch, size, size, out}, bf16, 4);
  for (Tensor* t : {&x, &weight, &bias}) t->set_requires_grad(recorded);
  const double operations =
      (recorded ? 6.0 : 2.0) * static_cast<double>(batch * size * size * in * out * kernel * kernel);
  measure(state, operations, [&] {
    const Tensor y = conv2d(x, weight, bias, 1, padding);
    if (recorded) backward(y, dy);
    for (Tensor* t : {&x, &weight, &bias}) t->clear_grad();
  });
}

BENCHMARK(convolution)->ArgNames({"B", "size", "in", "out", "k", "bf16", "backward"})->MinTime(0.2)->Apply([](auto* b) {
  for (int64_t bf16 : {0, 1}) {
    for (int64_t backward : {0, 1}) {
      b->Args({32, 32, 32, 32, 3, bf16, backward});
      b->Args({32, 16, 64, 64, 3, bf16, backward});
      b->Args({32, 8, 128, 128, 3, bf16, backward});
      b->Args({32, 32, 12, 32, 3, bf16, backward});
    }
    b->Args({1, 16, 128, 128, 3, bf16, 0});
    b->Args({1, 32, 64, 64, 3, bf16, 0});
    b->Args({1, 64, 32, 32, 3, bf16, 0});
    b->Args({1, 64, 32, 12, 3, bf16, 0});
    b->Args({1, 64, 384, 384, 3, bf16, 0});
    b->Args({1, 64, 192, 384, 1, bf16, 0});
  }
});

}  // namespace
}  // namespace baton

BENCHMARK_MAIN();
