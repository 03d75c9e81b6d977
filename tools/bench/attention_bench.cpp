// Attention, forward and backward, on the shapes of training and sampling. The rate counts the matrix products alone (2
// forward, 5 backward); `f32_product`, one large product by oneDNN, shows what this processor's f32 units give.
//   OMP_NUM_THREADS=1 attention_bench --benchmark_filter='f32_product|train_self'
#include <benchmark/benchmark.h>

#include "engine/autograd/tape.h"

#include <string>
#include "engine/core/random.h"
#include "engine/ops/attention.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/linear.h"

namespace baton {
namespace {

void count_operations(benchmark::State& state, double per_iteration) {
  state.counters["FLOP/s"] = benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

Tensor random(Shape shape, DType dtype, uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape));
  random_normal(std::span(t.data<float>(), t.numel()), seed, 0);
  return dtype == DType::f32 ? t : cast(t, dtype);
}

void product(benchmark::State& state) {
  constexpr int64_t n = 1024;
  const Tensor a = random({n, n}, DType::f32, 1), b = random({n, n}, DType::f32, 2);
  for (auto _ : state) benchmark::DoNotOptimize(matmul(a, b).raw());
  count_operations(state, 2.0 * n * n * n);
}

struct Problem {
  int64_t B, Tq, Tk, H, D;
  DType dtype;
};

void forward(benchmark::State& state, const Problem& p) {
  const Tensor q = random({p.B, p.Tq, p.H, p.D}, p.dtype, 1), k = random({p.B, p.Tk, p.H, p.D}, p.dtype, 2),
               v = random({p.B, p.Tk, p.H, p.D}, p.dtype, 3);
  for (auto _ : state) benchmark::DoNotOptimize(attention(q, k, v).raw());
  count_operations(state, 4.0 * p.B * p.H * p.Tq * p.Tk * p.D);
}

void backward_pass(benchmark::State& state, const Problem& p) {
  Tensor q = random({p.B, p.Tq, p.H, p.D}, p.dtype, 1), k = random({p.B, p.Tk, p.H, p.D}, p.dtype, 2),
         v = random({p.B, p.Tk, p.H, p.D}, p.dtype, 3);
  const Tensor direction = random(q.shape(), p.dtype, 4);
  for (Tensor* leaf : {&q, &k, &v}) leaf->set_requires_grad(true);
  for (auto _ : state) {
    state.PauseTiming();
    for (Tensor* leaf : {&q, &k, &v}) leaf->clear_grad();
    const Tensor out = attention(q, k, v);
    state.ResumeTiming();
    backward(out, direction);
  }
  count_operations(state, 10.0 * p.B * p.H * p.Tq * p.Tk * p.D);
}

const struct {
  const char* name;
  int64_t B, Tq, Tk, H, D;
} shapes[] = {
    {"train_self", 64, 64, 64, 4, 64},      {"train_cross", 64, 64, 24, 4, 64},     {"sample_self", 8, 64, 64, 4, 64},
    {"large_self", 1, 1024, 1024, 12, 128}, {"large_cross", 1, 1024, 512, 12, 128}, {"vae_middle", 4, 256, 256, 1, 384},
};

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  using namespace baton;
  benchmark::Initialize(&argc, argv);
  benchmark::RegisterBenchmark("f32_product", product)->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const auto& s : shapes) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Problem problem{s.B, s.Tq, s.Tk, s.H, s.D, dtype};
      const std::string label = std::string(s.name) + "/" + std::string(name(dtype));
      benchmark::RegisterBenchmark((label + "/forward").c_str(), forward, problem)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
      benchmark::RegisterBenchmark((label + "/backward").c_str(), backward_pass, problem)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
}
