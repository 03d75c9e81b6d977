#pragma once

#include <cstdint>

// What a kernel sees of a tensor: plain pointers, sizes and strides. Nothing here owns memory.
namespace baton::kernels {

enum class DType : uint8_t { f32, bf16, f16, i32, i64, u8, f64 };

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return 1;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::i64:
    case DType::f64:
      return 8;
  }
  return 0;
}

constexpr int max_rank = 8;

// A strided window on memory. Strides count elements, not bytes. An absent optional argument has data == nullptr.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  int64_t shape[max_rank] = {};
  int64_t stride[max_rank] = {};

  explicit operator bool() const { return data != nullptr; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
};

}  // namespace baton::kernels
