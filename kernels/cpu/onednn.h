#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <unordered_map>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/view.h"

// What gemm.cpp and conv.cpp share of oneDNN, and the only place that knows how its versions 2 and 3 differ.
namespace baton::kernels::cpu::onednn {

const dnnl::engine& engine();

// The distance between rows of a matrix [·, columns] f32, in elements: an odd number of cache lines. Rows that a power
// of two lies between all fall into a few sets of the L1 cache, where a product with AVX2 runs at half its rate.
inline int64_t spread_step(int64_t columns) {
  constexpr int64_t line = 16;
  return ((columns + line - 1) / line | 1) * line;
}

dnnl::memory::data_type data_type(DType dtype);

// True where oneDNN multiplies bf16 natively. Elsewhere operands are widened to f32 first, which is faster than its
// emulation (AVX-512 without BF16) and works where it has none (AVX2). ONEDNN_MAX_CPU_ISA lowers what this sees.
bool has_bf16();
bool has_avx512();

void append(dnnl::post_ops& operations, Activation activation);

// Attributes with the scratchpad owned by the caller, as Plan needs it.
dnnl::primitive_attr attributes(const dnnl::post_ops& operations = {});

// The primitive descriptor of an operation, given the arguments of its constructor between engine and attributes in
// oneDNN 3. Version 2 has them in a struct `desc` of each primitive.
template <typename Primitive, typename... Arguments>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attributes, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), arguments..., attributes};
#else
  return {typename Primitive::desc(arguments...), attributes, engine()};
#endif
}

// The same of a backward operation, which also asks for the forward one that it belongs to.
template <typename Primitive, typename Forward, typename... Arguments>
typename Primitive::primitive_desc describe_backward(const Forward& forward, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), arguments..., forward, attributes()};
#else
  return {typename Primitive::desc(arguments...), attributes(), engine(), forward};
#endif
}

// Products of version 3.7 take a matrix of one row or one column for a vector without gaps, whatever its strides are.
constexpr bool vectors_must_be_dense = DNNL_VERSION_MAJOR >= 3;

// Memory that a thread keeps for its next calls, 64-byte aligned; grows, never shrinks. `slot` tells apart buffers that
// live at once.
void* scratch(int slot, int64_t bytes);
constexpr int scratchpad_slot = 0;  // used by Plan::run
constexpr int first_free_slot = 1;
constexpr int scratch_slots = 9;

// A view of the same shape and order of dimensions in memory, without gaps, in scratch memory.
View scratch_like(const View& view, DType dtype, int slot);
// The values of a bf16 view as f32 in scratch memory; an f32 view is returned as it is.
View widened(const View& view, int slot);

// Makes a plan, or what holds some. Throws std::bad_alloc where the system has no room for its code or oneDNN has no
// memory: oneDNN writes the code without looking whether it got any.
void expect_room_for_code();
template <typename Make>
auto with_room(const Make& make) {
  expect_room_for_code();
  try {
    return make();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw;
  }
}

// A compiled primitive and its argument memories, for use by one thread.
class Plan {
 public:
  struct Argument {
    int name;  // DNNL_ARG_…
    dnnl::memory::desc desc;
  };
  Plan() = default;
  Plan(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
       std::initializer_list<Argument> arguments);
  // One pointer for each argument, in the order given above; those of absent (zero-size) arguments are ignored.
  void run(std::initializer_list<void*> pointers);

 private:
  dnnl::primitive primitive_;
  int64_t scratchpad_bytes_ = 0;
  std::vector<dnnl::memory> memories_;  // the scratchpad is the last
  std::vector<dnnl_exec_arg_t> arguments_;
};

// Copies between layouts and types: run({from, to}).
Plan reorder_plan(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

// What a plan depends on: a fixed number of integers, compared as a whole.
template <size_t N>
struct Key {
  std::array<int64_t, N> values{};
  bool operator==(const Key&) const = default;
};

template <size_t N>
struct KeyHash {
  size_t operator()(const Key<N>& key) const {
    uint64_t hash = 0x9e3779b97f4a7c15;
    for (int64_t value : key.values) {
      hash = (hash ^ static_cast<uint64_t>(value)) * 0xff51afd7ed558ccd;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

// A bounded map from keys to plans (or what holds some). Each thread has its own, so that plans need no locks; oneDNN
// itself shares compiled code between them.
template <size_t N, typename Value = Plan>
class PlanCache {
 public:
  template <typename Make>
  Value& get(const Key<N>& key, const Make& make) {
    if (auto found = entries_.find(key); found != entries_.end()) {
      found->second.last_use = ++clock_;
      return found->second.value;
    }
    if (entries_.size() >= capacity) forget_oldest();
    return entries_.emplace(key, Entry{with_room(make), ++clock_}).first->second.value;
  }

 private:
  static constexpr size_t capacity = 512;
  struct Entry {
    Value value;
    uint64_t last_use;
  };
  void forget_oldest() {
    auto oldest = entries_.begin();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry)
      if (entry->second.last_use < oldest->second.last_use) oldest = entry;
    entries_.erase(oldest);
  }
  std::unordered_map<Key<N>, Entry, KeyHash<N>> entries_;
  uint64_t clock_ = 0;
};

}  // namespace baton::kernels::cpu::onednn
