#include "engine/tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "engine/core/allocator.h"
#include "engine/core/countable.h"
#include "engine/core/error.h"
#include "engine/core/require.h"

namespace baton {
namespace {

void check_shape(const Shape& shape) {
  require(shape.size() <= kernels::max_rank, "tensor: {} dimensions, at most {} are supported", shape.size(),
          kernels::max_rank);
  check(is_countable(shape), "tensor: the shape {} has a negative size or is too large", shape);
}

}  // namespace

Shape contiguous_stride(const Shape& shape) {
  Shape stride(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0; step *= shape[i]) stride[i] = step;
  return stride;
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  check_shape(shape);
  Tensor t;
  t.impl_ = std::make_shared<Impl>();
  auto memory = allocate(baton::numel(shape) * size_of(dtype));
  t.impl_->data = memory.get();
  t.impl_->storage = std::move(memory);
  t.impl_->dtype = dtype;
  t.impl_->stride = contiguous_stride(shape);
  t.impl_->shape = std::move(shape);
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  std::memset(t.raw(), 0, t.bytes());
  return t;
}

Tensor Tensor::full(Shape shape, float value) {
  Tensor t = empty(std::move(shape));
  std::fill_n(t.data<float>(), t.numel(), value);
  return t;
}

Tensor Tensor::from(std::span<const float> values, Shape shape) {
  Tensor t = empty(std::move(shape));
  require(static_cast<int64_t>(values.size()) == t.numel(), "tensor: {} values for shape {}", values.size(), t.shape());
  std::copy(values.begin(), values.end(), t.data<float>());
  return t;
}

Tensor Tensor::from_ids(std::span<const int32_t> values, Shape shape) {
  Tensor t = empty(std::move(shape), DType::i32);
  require(static_cast<int64_t>(values.size()) == t.numel(), "tensor: {} values for shape {}", values.size(), t.shape());
  std::copy(values.begin(), values.end(), t.data<int32_t>());
  return t;
}

Tensor Tensor::borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner) {
  check_shape(shape);
  Tensor t;
  t.impl_ = std::make_shared<Impl>();
  t.impl_->data = const_cast<void*>(data);
  t.impl_->storage = std::move(owner);
  t.impl_->dtype = dtype;
  t.impl_->stride = contiguous_stride(shape);
  t.impl_->shape = std::move(shape);
  return t;
}

bool Tensor::is_contiguous() const {
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (impl_->shape[i] != 1 && impl_->stride[i] != step) return false;
    step *= impl_->shape[i];
  }
  return true;
}

void Tensor::expect(std::initializer_list<DType> accepted, std::string_view type) const {
  require(defined(), "tensor: undefined where {} values are needed", type);
  require(std::find(accepted.begin(), accepted.end(), dtype()) != accepted.end(), "tensor of {} read as {}",
          name(dtype()), type);
}

template <>
float* Tensor::data<float>() const {
  expect({DType::f32}, "f32");
  return static_cast<float*>(impl_->data);
}
template <>
double* Tensor::data<double>() const {
  expect({DType::f64}, "f64");
  return static_cast<double*>(impl_->data);
}
template <>
uint16_t* Tensor::data<uint16_t>() const {
  expect({DType::bf16, DType::f16}, "16-bit");
  return static_cast<uint16_t*>(impl_->data);
}
template <>
int32_t* Tensor::data<int32_t>() const {
  expect({DType::i32}, "i32");
  return static_cast<int32_t*>(impl_->data);
}
template <>
int64_t* Tensor::data<int64_t>() const {
  expect({DType::i64}, "i64");
  return static_cast<int64_t*>(impl_->data);
}
template <>
uint8_t* Tensor::data<uint8_t>() const {
  expect({DType::u8}, "u8");
  return static_cast<uint8_t*>(impl_->data);
}

kernels::View Tensor::view() const {
  kernels::View view;
  if (!defined()) return view;
  view.data = impl_->data;
  view.dtype = impl_->dtype;
  view.rank = rank();
  std::copy(impl_->shape.begin(), impl_->shape.end(), view.shape);
  std::copy(impl_->stride.begin(), impl_->stride.end(), view.stride);
  return view;
}

Tensor Tensor::alias(Shape shape, Shape stride, int64_t offset) const {
  require(shape.size() <= kernels::max_rank, "tensor: {} dimensions, at most {} are supported", shape.size(),
          kernels::max_rank);
  Tensor t;
  t.impl_ = std::make_shared<Impl>(*impl_);
  t.impl_->slot = nullptr;
  t.impl_->data = static_cast<char*>(impl_->data) + offset * size_of(impl_->dtype);
  t.impl_->shape = std::move(shape);
  t.impl_->stride = std::move(stride);
  return t;
}

Tensor Tensor::alias(Shape shape) const {
  require(is_contiguous() && baton::numel(shape) == numel(), "tensor: {} cannot be seen as {}", this->shape(), shape);
  Shape stride = contiguous_stride(shape);
  return alias(std::move(shape), std::move(stride));
}

void Tensor::move_to(const Tensor& place) {
  require(place.bytes() == bytes(), "tensor: {} {} cannot move to {} {}", name(dtype()), shape(), name(place.dtype()),
          place.shape());
  std::memcpy(place.raw(), raw(), bytes());
  look_at(place);
}

void Tensor::look_at(const Tensor& place) {
  require(is_contiguous() && place.is_contiguous() && place.shape() == shape() && place.dtype() == dtype(),
          "tensor: {} {} cannot move to {} {}", name(dtype()), shape(), name(place.dtype()), place.shape());
  impl_->data = place.impl_->data;
  impl_->storage = place.impl_->storage;
}

Tensor Tensor::detach() const { return defined() ? alias(shape(), stride()) : Tensor(); }

std::vector<float> Tensor::to_vector() const {
  require(is_floating(dtype()), "tensor of {} has no floating values", name(dtype()));
  std::vector<float> out(numel());
  Shape index(rank(), 0);
  for (float& value : out) {
    int64_t offset = 0;
    for (int i = 0; i < rank(); ++i) offset += index[i] * stride()[i];
    switch (dtype()) {
      case DType::f32:
        value = static_cast<float*>(raw())[offset];
        break;
      case DType::f64:
        value = static_cast<float>(static_cast<double*>(raw())[offset]);
        break;
      case DType::bf16:
        value = bf16_to_f32(static_cast<uint16_t*>(raw())[offset]);
        break;
      default:
        value = f16_to_f32(static_cast<uint16_t*>(raw())[offset]);
    }
    for (int i = rank() - 1; i >= 0 && ++index[i] == shape()[i]; --i) index[i] = 0;
  }
  return out;
}

float Tensor::item() const {
  require(defined() && numel() == 1, "tensor: item() needs one element, the shape is {}",
          defined() ? shape() : Shape{});
  return to_vector()[0];
}

}  // namespace baton
