// Memory traffic of the SIMD kernels in GB/s (every byte that must be read or written, once), next to what memcpy
// reaches on the same number of bytes:  simd_bench --benchmark_filter='norm|copy'
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "engine/core/random.h"
#include "engine/tensor/tensor.h"
#include "kernels/accumulate.h"
#include "kernels/convert.h"
#include "kernels/cpu/parallel.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/norm.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"
#include "kernels/rope.h"

namespace baton {
namespace {

namespace cpu = kernels::cpu;

Tensor filled(Shape shape, DType dtype = DType::f32) {
  const Tensor x = Tensor::empty(shape);
  random_normal(std::span(x.data<float>(), x.numel()), 1, 0);
  if (dtype == DType::f32) return x;
  const Tensor low = Tensor::empty(std::move(shape), dtype);
  cpu::copy({x.view(), low.view()});
  return low;
}

int64_t total_bytes(std::initializer_list<Tensor> tensors) {
  int64_t sum = 0;
  for (const Tensor& t : tensors) sum += t.bytes();
  return sum;
}

// Runs `body` and counts the bytes of `traffic`.
template <typename Body>
void measure(const std::string& name, std::initializer_list<Tensor> traffic, const Body& body) {
  const int64_t bytes = total_bytes(traffic);
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 for (auto _ : state) {
                                   body();
                                   benchmark::ClobberMemory();
                                 }
                                 state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * bytes);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

constexpr int64_t B = 64, T = 64, D = 256, H = 4, F = 1024;  // a training step of a small denoiser

void copies(DType dtype, const std::string& label) {
  for (int64_t mebibytes : {4, 256}) {
    const Tensor x = filled({mebibytes << 18}), y = filled({mebibytes << 18});
    if (dtype != DType::f32) break;
    measure("memcpy/" + std::to_string(mebibytes) + "MiB", {x, y}, [=] {
      cpu::parallel_for(x.numel(), 1, [&](int64_t begin, int64_t end, int) {
        std::memcpy(y.data<float>() + begin, x.data<float>() + begin, (end - begin) * sizeof(float));
      });
    });
  }
  const Tensor heads = filled({B, T, H, D / H}, dtype), turned = Tensor::empty({B, H, T, D / H}, dtype);
  const Tensor window = turned.alias({B, T, H, D / H}, {T * D, D / H, T * D / H, 1});
  measure("permute/heads/" + label, {heads, turned}, [=] { cpu::copy({heads.view(), window.view()}); });
  const Tensor image = filled({8, 96, 64, 64}, dtype), last = Tensor::empty({8, 64, 64, 96}, dtype);
  const Tensor channels = last.alias({8, 96, 64, 64}, {64 * 64 * 96, 1, 64 * 96, 96});
  measure("permute/channels_last/" + label, {image, last}, [=] { cpu::copy({image.view(), channels.view()}); });
  measure("permute/channels_first/" + label, {image, last}, [=] { cpu::copy({channels.view(), image.view()}); });
  const Tensor latents = filled({B, 16, 8, 2, 8, 2}, dtype), cells = Tensor::empty({B, 8, 8, 16, 2, 2}, dtype);
  const Tensor patches = latents.alias({B, 8, 8, 16, 2, 2}, {16 * 256, 32, 2, 256, 16, 1});
  measure("permute/patches/" + label, {latents, cells}, [=] { cpu::copy({patches.view(), cells.view()}); });
  const Tensor wide = filled({B * T, 3 * D}, dtype), part = wide.alias({B * T, D}, {3 * D, 1}, D);
  const Tensor packed = Tensor::empty({B * T, D}, dtype);
  measure("copy/window/" + label, {packed, packed}, [=] { cpu::copy({part.view(), packed.view()}); });
  const Tensor other = Tensor::empty({B, T, D}, dtype == DType::f32 ? DType::bf16 : DType::f32),
               from = filled({B, T, D}, dtype);
  measure("cast/from_" + label, {from, other}, [=] { cpu::copy({from.view(), other.view()}); });
}

void elementwise(DType dtype, const std::string& label) {
  const Tensor x = filled({B, T, D}, dtype), y = filled({B, T, D}, dtype), out = Tensor::empty({B, T, D}, dtype);
  const Tensor row = filled({D}, dtype), items = filled({B, 1, D}, dtype);
  using kernels::Binary;
  measure("add/" + label, {x, y, out}, [=] { cpu::binary({Binary::add, x.view(), y.view(), out.view()}); });
  measure("add/row/" + label, {x, out}, [=] { cpu::binary({Binary::add, x.view(), row.view(), out.view()}); });
  measure("add/items/" + label, {x, out}, [=] { cpu::binary({Binary::add, x.view(), items.view(), out.view()}); });
  const Tensor hidden = filled({B, T, F}, dtype), activated = Tensor::empty({B, T, F}, dtype),
               gradient = filled({B, T, F}, dtype);
  using kernels::Unary;
  const std::pair<const char*, Unary> functions[] = {
      {"affine", Unary::affine}, {"gelu_tanh", Unary::gelu_tanh}, {"gelu", Unary::gelu}, {"silu", Unary::silu}};
  for (const auto& [name, op] : functions) {
    measure(std::string(name) + "/" + label, {hidden, activated}, [=, op = op] {
      cpu::unary({op, 2, 1, hidden.view(), activated.view()});
    });
    measure(std::string(name) + "/backward/" + label, {hidden, gradient, activated}, [=, op = op] {
      cpu::unary_backward({op, 2, 1, hidden.view(), gradient.view(), activated.view()});
    });
  }
  const Tensor residual = filled({B, T, D}), sum = Tensor::empty({B, T, D}), gate = filled({B, D}),
               dgate = Tensor::empty({B, D});
  measure("gated_add/" + label, {residual, y, sum}, [=] {
    cpu::gated_add({residual.view(), gate.view(), y.view(), sum.view()});
  });
  measure("gated_add/backward/" + label, {residual, y, out}, [=] {
    cpu::gated_add_backward({residual.view(), gate.view(), y.view(), dgate.view(), out.view()});
  });
}

void norms(DType dtype, const std::string& label) {
  using kernels::Norm;
  const Tensor x = filled({B, T, D}, dtype), y = Tensor::empty({B, T, D}, dtype), dx = Tensor::empty({B, T, D}, dtype);
  const Tensor residual = filled({B, T, D}), dresidual = Tensor::empty({B, T, D});
  const Tensor scale = filled({B, D}), shift = filled({B, D}), dscale = Tensor::empty({B, D}),
               dshift = Tensor::empty({B, D});
  const Tensor mean = Tensor::empty({B * T}), rstd = Tensor::empty({B * T}), weight = filled({D}),
               dweight = Tensor::empty({D});
  measure("modulated_norm/" + label, {residual, y}, [=] {
    cpu::norm({Norm::layer, false, 1e-6f, 1, residual.view(), scale.view(), shift.view(), y.view(), mean.view(),
               rstd.view()});
  });
  measure("modulated_norm/backward/" + label, {residual, x, dresidual}, [=] {
    cpu::norm_backward({Norm::layer, false, 1e-6f, 1, x.view(), residual.view(), scale.view(), shift.view(),
                        mean.view(), rstd.view(), dresidual.view(), dscale.view(), dshift.view()});
  });
  measure("rms_norm/" + label, {x, y}, [=] {
    cpu::norm({Norm::rms, false, 1e-6f, 0, x.view(), weight.view(), {}, y.view(), {}, rstd.view()});
  });
  measure("rms_norm/backward/" + label, {x, y, dx}, [=] {
    cpu::norm_backward({Norm::rms,
                        false,
                        1e-6f,
                        0,
                        y.view(),
                        x.view(),
                        weight.view(),
                        {},
                        {},
                        rstd.view(),
                        dx.view(),
                        dweight.view(),
                        {}});
  });
  for (int64_t channels : {32, 96}) {
    const int64_t rows = 8 * 64 * 64;
    const Tensor image = filled({1, rows, channels}, dtype), out = Tensor::empty({1, rows, channels}, dtype);
    const Tensor dimage = Tensor::empty({1, rows, channels}, dtype), each = Tensor::empty({rows});
    const Tensor factor = filled({channels}), dfactor = Tensor::empty({channels});
    const std::string suffix = std::to_string(channels) + "/" + label;
    measure("l2_norm_silu/" + suffix, {image, out}, [=] {
      cpu::norm({Norm::l2, true, 1e-12f, 0, image.view(), factor.view(), {}, out.view(), {}, each.view()});
    });
    measure("l2_norm_silu/backward/" + suffix, {image, out, dimage}, [=] {
      cpu::norm_backward({Norm::l2,
                          true,
                          1e-12f,
                          0,
                          out.view(),
                          image.view(),
                          factor.view(),
                          {},
                          {},
                          each.view(),
                          dimage.view(),
                          dfactor.view(),
                          {}});
    });
  }
}

void others(DType dtype, const std::string& label) {
  const Tensor x = filled({B, T, H, D / H}, dtype), y = Tensor::empty({B, T, H, D / H}, dtype);
  const Tensor cos = filled({T, D / H / 2}), sin = filled({T, D / H / 2});
  measure("rope/" + label, {x, y}, [=] { cpu::rope({x.view(), cos.view(), sin.view(), y.view(), false}); });
  const Tensor rows = filled({B * T, D}, dtype), columns = Tensor::empty({D}), one = Tensor::empty({}),
               items = Tensor::empty({B, 1, D});
  measure("sum/columns/" + label, {rows}, [=] { cpu::sum_to({rows.view(), columns.view(), false}); });
  measure("sum/items/" + label, {rows}, [=] { cpu::sum_to({rows.alias({B, T, D}).view(), items.view(), false}); });
  measure("sum/all/" + label, {rows}, [=] { cpu::sum_to({rows.view(), one.view(), false}); });
  const Tensor total = Tensor::zeros({B * T, D}, dtype);
  measure("accumulate/" + label, {rows, total, total}, [=] { cpu::sum_to({rows.view(), total.view(), true}); });
  const Tensor a = rows.alias({B, T * D}), b = filled({B, T * D}), errors = Tensor::empty({B});
  measure("squared_error/" + label, {a, b}, [=] { cpu::squared_error({a.view(), b.view(), errors.view()}); });
  measure("all_finite/" + label, {rows}, [=] { benchmark::DoNotOptimize(cpu::all_finite(rows.view())); });
  const Tensor table = filled({6000, D}, dtype), looked_up = Tensor::empty({B * 24, D}, dtype),
               dtable = Tensor::zeros({6000, D});
  const Tensor ids = Tensor::empty({B * 24}, DType::i32);
  for (int64_t i = 0; i < ids.numel(); ++i) ids.data<int32_t>()[i] = static_cast<int32_t>(random_below(6000, 1, 2, i));
  measure("embedding/" + label, {looked_up, looked_up}, [=] {
    cpu::gather_rows({table.view(), ids.view(), looked_up.view()});
  });
  measure("embedding/backward/" + label, {looked_up, looked_up, looked_up}, [=] {
    cpu::scatter_add_rows({looked_up.view(), ids.view(), dtable.view()});
  });
}

void optimizers() {
  for (int64_t n : {int64_t{1} << 18, int64_t{9} << 20}) {
    const std::string label = std::to_string(n >> 10) + "Ki";
    const Tensor p = filled({n}), g = filled({n}), m = Tensor::zeros({n}), v = Tensor::zeros({n}),
                 average = filled({n});
    measure("adamw/" + label, {p, p, g, m, m, v, v}, [=] {
      cpu::adamw({p.view(), g.view(), m.view(), v.view(), 1e-3, 0.9, 0.98, 1e-8, 0.01, 10});
    });
    measure("adamw_average/" + label, {p, p, g, m, m, v, v, average, average}, [=] {
      cpu::adamw({p.view(), g.view(), m.view(), v.view(), 1e-3, 0.9, 0.98, 1e-8, 0.01, 10, 1, average.view(), 0.001f});
    });
    const Tensor update = Tensor::empty({n}, DType::bf16);
    measure("muon/momentum/" + label, {g, m, m, update}, [=] {
      cpu::momentum({g.view(), m.view(), update.view(), 0.95, true});
    });
    measure("muon/apply/" + label, {p, p, update}, [=] { cpu::apply_update({p.view(), update.view(), 1e-3, 1e-4}); });
    measure("sum_of_squares/" + label, {g}, [=] { benchmark::DoNotOptimize(cpu::sum_of_squares(g.view())); });
  }
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const auto& [dtype, label] : {std::pair{baton::DType::f32, "f32"}, std::pair{baton::DType::bf16, "bf16"}}) {
    baton::copies(dtype, label);
    baton::elementwise(dtype, label);
    baton::norms(dtype, label);
    baton::others(dtype, label);
  }
  baton::optimizers();
  benchmark::RunSpecifiedBenchmarks();
}
