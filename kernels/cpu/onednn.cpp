#include "kernels/cpu/onednn.h"

#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "kernels/convert.h"

namespace baton::kernels::cpu::onednn {
namespace {

const dnnl::stream& stream() {
  thread_local const dnnl::stream instance(engine());
  return instance;
}

// The dimensions of a view from the largest stride to the smallest: its order in memory.
std::array<int, max_rank> memory_order(const View& view) {
  std::array<int, max_rank> order{};
  for (int i = 0; i < view.rank; ++i) {
    int at = i;
    for (; at > 0 && view.stride[order[at - 1]] < view.stride[i]; --at) order[at] = order[at - 1];
    order[at] = i;
  }
  return order;
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine* instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every thread's plans
  return *instance;
}

dnnl::memory::data_type data_type(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

namespace {
bool has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}
}  // namespace

bool has_bf16() {
  static const bool has_it = has(dnnl::cpu_isa::avx512_core_bf16);
  return has_it;
}

bool has_avx512() {
  static const bool has_it = has(dnnl::cpu_isa::avx512_core);
  return has_it;
}

void append(dnnl::post_ops& operations, Activation activation) {
  using dnnl::algorithm;
  const auto eltwise = [&](algorithm kind, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
    operations.append_eltwise(kind, alpha, 0);
#else
    operations.append_eltwise(1.0f, kind, alpha, 0);
#endif
  };
  switch (activation) {
    case Activation::none:
      return;
    case Activation::gelu_tanh:
      return eltwise(algorithm::eltwise_gelu_tanh, 0);
    case Activation::gelu:
      return eltwise(algorithm::eltwise_gelu_erf, 0);
    case Activation::quick_gelu:
      return eltwise(algorithm::eltwise_swish, 1.702f);
    case Activation::silu:
      return eltwise(algorithm::eltwise_swish, 1);
    case Activation::relu:
      return eltwise(algorithm::eltwise_relu, 0);
  }
}

dnnl::primitive_attr attributes(const dnnl::post_ops& operations) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

void* scratch(int slot, int64_t bytes) {
  struct Buffer {
    std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};
    int64_t bytes = 0;
  };
  thread_local Buffer buffers[scratch_slots];
  Buffer& buffer = buffers[slot];
  if (buffer.bytes < bytes) {
    buffer.memory.reset();
    buffer.bytes = (bytes + 4095) / 4096 * 4096;
    buffer.memory.reset(std::aligned_alloc(64, buffer.bytes));
    if (!buffer.memory) {
      buffer.bytes = 0;
      throw std::bad_alloc();
    }
  }
  return buffer.memory.get();
}

View scratch_like(const View& view, DType dtype, int slot) {
  const auto order = memory_order(view);
  View copy = view;
  copy.dtype = dtype;
  copy.data = scratch(slot, view.numel() * size_of(dtype));
  int64_t step = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    copy.stride[order[i]] = step;
    step *= view.shape[order[i]];
  }
  return copy;
}

View widened(const View& view, int slot) {
  if (view.dtype != DType::bf16) return view;
  const View wide = scratch_like(view, DType::f32, slot);
  copy({view, wide});
  return wide;
}

Plan::Plan(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
           std::initializer_list<Argument> arguments)
    : primitive_(primitive), scratchpad_bytes_(static_cast<int64_t>(scratchpad.get_size())) {
  for (const Argument& argument : arguments) {
    memories_.emplace_back(argument.desc, engine(), nullptr);
    if (argument.desc.get_size() > 0) arguments_.push_back({argument.name, memories_.back().get()});
  }
  memories_.emplace_back(scratchpad, engine(), nullptr);
  if (scratchpad_bytes_ > 0) arguments_.push_back({DNNL_ARG_SCRATCHPAD, memories_.back().get()});
}

void Plan::run(std::initializer_list<void*> pointers) {
  size_t i = 0;
  for (void* pointer : pointers) {
    dnnl_memory_t memory = memories_[i++].get();
    if (pointer) dnnl::error::wrap_c_api(dnnl_memory_set_data_handle(memory, pointer), "oneDNN refused an argument");
  }
  if (scratchpad_bytes_ > 0) memories_.back().set_data_handle(scratch(scratchpad_slot, scratchpad_bytes_));
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), stream().get(), static_cast<int>(arguments_.size()), arguments_.data()),
      "oneDNN could not run a primitive");
}

void expect_room_for_code() {
  constexpr size_t enough = 32 << 20;
  for (;;) {
    void* pages = mmap(nullptr, enough, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED) {
      munmap(pages, enough);
      return;
    }
    const std::new_handler more = std::get_new_handler();  // as a failing `new` does
    if (!more) throw std::bad_alloc();
    more();
  }
}

Plan reorder_plan(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  expect_room_for_code();
  const dnnl::reorder::primitive_desc chosen(engine(), from, engine(), to, attributes());
  return Plan(dnnl::reorder(chosen), chosen.scratchpad_desc(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

}  // namespace baton::kernels::cpu::onednn
