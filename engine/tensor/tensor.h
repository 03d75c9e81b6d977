#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "kernels/view.h"

namespace baton {

struct GradSlot;  // engine/autograd/tape.h: where this tensor's gradient gathers; null when none is wanted

// A handle to a strided window on shared memory; copying it copies the handle, never the numbers. It computes nothing:
// functions in engine/ops do. A default-constructed Tensor is *undefined* and stands for "absent".
class Tensor {
 public:
  Tensor() = default;

  static Tensor empty(Shape shape, DType dtype = DType::f32);  // uninitialised
  static Tensor zeros(Shape shape, DType dtype = DType::f32);
  static Tensor full(Shape shape, float value);                          // f32
  static Tensor from(std::span<const float> values, Shape shape);        // f32 copy
  static Tensor from_ids(std::span<const int32_t> values, Shape shape);  // i32 copy
  // Borrows memory that `owner` keeps alive (an mmap-ed file). Such a tensor is read-only by convention.
  static Tensor borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }

  const Shape& shape() const { return impl_->shape; }
  const Shape& stride() const { return impl_->stride; }  // in elements
  DType dtype() const { return impl_->dtype; }
  int rank() const { return static_cast<int>(impl_->shape.size()); }
  int64_t dim(int i) const { return impl_->shape[i < 0 ? i + rank() : i]; }  // dim(-1) is the last
  int64_t numel() const { return baton::numel(impl_->shape); }
  int64_t bytes() const { return numel() * size_of(impl_->dtype); }
  bool is_contiguous() const;

  // Pointer to the first element. Throws if T does not match dtype() (uint16_t stands for bf16 and f16).
  template <typename T>
  T* data() const;
  void* raw() const { return impl_->data; }
  kernels::View view() const;  // for kernels

  // Another window on the same memory, outside autograd; offset in elements. Models use reshape/narrow/… of
  // engine/ops/view.h.
  Tensor alias(Shape shape, Shape stride, int64_t offset = 0) const;
  Tensor alias(Shape shape) const;  // contiguous tensors only, same number of elements
  // The same values without their history.
  Tensor detach() const;
  // Moves the values to other memory: all handles of this tensor see them there from now on. `place` is contiguous and
  // of the same shape and dtype.
  void move_to(const Tensor& place);
  // All handles of this tensor see what is at `place` from now on. What was recorded or detached before keeps the old
  // memory.
  void look_at(const Tensor& place);

  std::vector<float> to_vector() const;  // any floating dtype, any strides; for tests, io and small tables
  float item() const;                    // the value of a one-element tensor

  // Autograd: see engine/autograd/tape.h.
  bool requires_grad() const { return impl_ && impl_->slot; }
  void set_requires_grad(bool wanted);  // makes this tensor a leaf
  const std::shared_ptr<GradSlot>& slot() const { return impl_->slot; }
  void set_slot(std::shared_ptr<GradSlot> slot) { impl_->slot = std::move(slot); }
  Tensor grad() const;  // undefined before a backward pass
  void clear_grad();

 private:
  struct Impl {
    std::shared_ptr<const void> storage;
    void* data = nullptr;
    DType dtype = DType::f32;
    Shape shape, stride;
    std::shared_ptr<GradSlot> slot;
  };
  void expect(std::initializer_list<DType> accepted, std::string_view type) const;

  std::shared_ptr<Impl> impl_;
};

template <>
float* Tensor::data<float>() const;
template <>
double* Tensor::data<double>() const;
template <>
uint16_t* Tensor::data<uint16_t>() const;
template <>
int32_t* Tensor::data<int32_t>() const;
template <>
int64_t* Tensor::data<int64_t>() const;
template <>
uint8_t* Tensor::data<uint8_t>() const;

Shape contiguous_stride(const Shape& shape);

}  // namespace baton
