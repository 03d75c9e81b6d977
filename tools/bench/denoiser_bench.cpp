// A forward pass and a training step of the shipped model's denoiser (9 M parameters, 64 tokens), and the GEMM-bound
// slice of Wan 1.3B (4 layers, 1,024 tokens, 512 text tokens).   usage: denoiser_bench [--benchmark_filter=…]
#include <benchmark/benchmark.h>

#include "engine/autograd/tape.h"
#include "engine/core/random.h"
#include "engine/models/wan_transformer.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "kernels/machine.h"

namespace baton {
namespace {

WanTransformerConfig shipped() {
  return {.num_attention_heads = 4, .attention_head_dim = 64, .text_dim = 256, .ffn_dim = 1024, .num_layers = 8};
}
WanTransformerConfig wan_slice() {
  return {.num_attention_heads = 12, .attention_head_dim = 128, .text_dim = 4096, .ffn_dim = 8960, .num_layers = 4};
}

Tensor random(Shape shape, uint64_t stream) {
  Tensor t = Tensor::empty(std::move(shape));
  random_normal({t.data<float>(), static_cast<size_t>(t.numel())}, 1, stream);
  return t;
}

// Multiplications and additions of the linear layers and of attention, for `tokens` picture tokens and `text` text
// tokens an item.
double flops(const WanTransformerConfig& c, double tokens, double text) {
  const double d = static_cast<double>(c.inner_dim()), layers = static_cast<double>(c.num_layers),
               ffn = static_cast<double>(c.ffn_dim);
  return 2 * layers * tokens * (6 * d * d + 2 * d * ffn) + 4 * layers * tokens * (tokens + text) * d;
}

struct Inputs {
  Tensor latents, timestep, states;
  Inputs(int64_t batch, int64_t side, int64_t text, int64_t text_dim)
      : latents(random({batch, 16, 1, side, side}, 1)),
        timestep(Tensor::full({batch}, 500)),
        states(random({batch, text, text_dim}, 2)) {}
};

void forward(benchmark::State& state, const WanTransformerConfig& config, int64_t batch, int64_t side, int64_t text,
             DType compute) {
  kernels::cpu::set_threads(0);
  RandomParameters random(1);
  const WanTransformer trained(config, random, compute);
  CopiedParameters constant(trained.parameters(), false);
  const WanTransformer model(config, constant, compute);
  const Inputs in(batch, side, text, config.text_dim);
  NoGrad off;
  const TextContext context = model.encode_text(in.states, {});
  model(in.latents, in.timestep, context);  // packs the weights
  for (auto _ : state) benchmark::DoNotOptimize(model(in.latents, in.timestep, context).raw());
  const double tokens = static_cast<double>(side * side) / 4;
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops(config, tokens, static_cast<double>(text)) * static_cast<double>(batch) / 1e9,
                         benchmark::Counter::kIsIterationInvariantRate);
}

void train(benchmark::State& state, const WanTransformerConfig& config, int64_t batch, DType compute) {
  kernels::cpu::set_threads(0);
  RandomParameters random(1);
  const WanTransformer model(config, random, compute);
  const Inputs in(batch, 16, 24, config.text_dim);
  for (auto _ : state) {
    backward(mean(square(model(in.latents, in.timestep, model.encode_text(in.states, {})))));
    for (Parameter p : model.parameters()) p.value.clear_grad();
  }
  state.counters["GFLOP/s"] = benchmark::Counter(3 * flops(config, 64, 24) * static_cast<double>(batch) / 1e9,
                                                 benchmark::Counter::kIsIterationInvariantRate);
  state.counters["samples/s"] =
      benchmark::Counter(static_cast<double>(batch), benchmark::Counter::kIsIterationInvariantRate);
}

#define BATON_BENCH(name, ...) BENCHMARK_CAPTURE(__VA_ARGS__)->Name(name)->Unit(benchmark::kMillisecond)->UseRealTime()
BATON_BENCH("forward/f32/1", forward, forward_f32_1, shipped(), 1, 16, 24, DType::f32);
BATON_BENCH("forward/f32/2", forward, forward_f32_2, shipped(), 2, 16, 24, DType::f32);
BATON_BENCH("forward/f32/16", forward, forward_f32_16, shipped(), 16, 16, 24, DType::f32);
BATON_BENCH("forward/bf16/1", forward, forward_bf16_1, shipped(), 1, 16, 24, DType::bf16);
BATON_BENCH("forward/bf16/2", forward, forward_bf16_2, shipped(), 2, 16, 24, DType::bf16);
BATON_BENCH("forward/bf16/16", forward, forward_bf16_16, shipped(), 16, 16, 24, DType::bf16);
BATON_BENCH("wan_slice/f32", forward, slice_f32, wan_slice(), 1, 64, 512, DType::f32);
BATON_BENCH("wan_slice/bf16", forward, slice_bf16, wan_slice(), 1, 64, 512, DType::bf16);
BATON_BENCH("train/f32/64", train, train_f32, shipped(), 64, DType::f32);
BATON_BENCH("train/bf16/32", train, train_bf16_32, shipped(), 32, DType::bf16);
BATON_BENCH("train/bf16/64", train, train_bf16, shipped(), 64, DType::bf16);

}  // namespace
}  // namespace baton

BENCHMARK_MAIN();
