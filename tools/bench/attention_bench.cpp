// Attention, forward and backward, on the shapes of training and sampling, beside the processor's rate of f32
// multiply-adds: the counter FLOP/s of `multiply_adds` is the ceiling for that of the others (which count the matrix
// products alone: 2 forward, 5 backward).
#include <benchmark/benchmark.h>
#include <omp.h>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/ops/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tools/bench/attention_bench.cpp"
#include "kernels/cpu/targets.h"

#include "hwy/foreach_target.h"

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace baton::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int chains = 12;

// Independent chains of multiply-adds; returns how many floating point operations that was.
int64_t multiply_adds(int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  hn::Vec<hn::ScalableTag<float>> sum[chains];
  for (auto& s : sum) s = hn::Zero(d);
  const auto factor = hn::Set(d, *result);
  for (int64_t i = 0; i < rounds; ++i)
    for (auto& s : sum) s = hn::MulAdd(s, factor, factor);
  for (auto& s : sum) *result += hn::GetLane(s);
  return rounds * chains * 2 * static_cast<int64_t>(hn::Lanes(d));
}

}  // namespace baton::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace baton {
namespace {

HWY_EXPORT(multiply_adds);

void count_operations(benchmark::State& state, double per_iteration) {
  state.counters["FLOP/s"] = benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

void peak(benchmark::State& state) {
  int64_t operations = 0;
  for (auto _ : state) {
    operations = 0;
#pragma omp parallel reduction(+ : operations)
    {
      float result = 0.5f;
      operations += HWY_DYNAMIC_DISPATCH(multiply_adds)(1 << 20, &result);
      benchmark::DoNotOptimize(result);
    }
  }
  count_operations(state, static_cast<double>(operations));
}

Tensor random(Shape shape, DType dtype, uint64_t seed) {
  Tensor values = Tensor::empty(shape);
  random_normal(std::span(values.data<float>(), values.numel()), seed, 0);
  if (dtype == DType::f32) return values;
  Tensor rounded = Tensor::empty(shape, dtype);
  for (int64_t i = 0; i < values.numel(); ++i) rounded.data<uint16_t>()[i] = f32_to_bf16(values.data<float>()[i]);
  return rounded;
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
  benchmark::RegisterBenchmark("multiply_adds", peak)->UseRealTime();
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
#endif
