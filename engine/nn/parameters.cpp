#include "engine/nn/parameters.h"

#include <algorithm>
#include <cstring>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/core/require.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/view.h"
#include "engine/parallel/region.h"

namespace baton {
namespace {

// FNV-1a: a stream of random numbers for each name.
uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

}  // namespace

const Shape& logical_shape(const Parameter& p) { return p.logical.empty() ? p.value.shape() : p.logical; }

Tensor share_of(const Tensor& whole, Shard shard, const Group& tp) {
  if (tp.size() == 1 || shard == Shard::whole) return whole;
  const int dim = shard == Shard::column ? 0 : 1;
  check(whole.dim(dim) % tp.size() == 0, "tensor parallel: dimension {} of {} cannot be cut into {} equal parts", dim,
        whole.shape(), tp.size());
  return contiguous(own_part(whole.detach(), dim, tp));
}

const Tensor& find(const Parameters& parameters, std::string_view name) {
  const auto it =
      std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == name; });
  require(it != parameters.end(), "model: there is no parameter {}", name);
  return it->value;
}

int64_t count_elements(const Parameters& parameters) {
  int64_t count = 0;
  for (const Parameter& p : parameters) count += p.value.numel();
  return count;
}

Tensor f32_copy(const Tensor& value) {
  NoGrad off;
  const Tensor f32 = cast(value.detach(), DType::f32);
  Tensor copy = Tensor::empty(value.shape());
  std::memcpy(copy.raw(), f32.raw(), copy.bytes());
  return copy;
}

Tensor RandomParameters::provide(const std::string& name, const Shape& shape, Init init) {
  if (init.kind == Init::Kind::constant) return Tensor::full(shape, init.scale);
  Tensor t = Tensor::empty(shape);
  const std::span<float> values(t.data<float>(), t.numel());
  const uint64_t stream = hash_name(name);
  if (init.kind == Init::Kind::normal) {
    random_normal(values, seed_, stream);
    for (float& v : values) v *= init.scale;
  } else {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = init.scale * static_cast<float>(2 * random_uniform(seed_, stream, i) - 1);
  }
  return t;
}

Tensor CopiedParameters::provide(const std::string& name, const Shape& shape, Init) {
  const auto from = std::ranges::find(original_, name, &Parameter::name);
  require(from != original_.end(), "model: there is no parameter {}", name);
  require(from->value.shape() == shape || from->logical == shape, "model: parameter {} has shape {}, {} is needed",
          name, from->value.shape(), shape);
  return f32_copy(from->value);
}

Scope Scope::operator/(std::string_view name) const {
  Scope child = *this;
  child.prefix_ = prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
  return child;
}

Scope Scope::on_every_stage() const {
  Scope same = *this;
  same.every_stage_ = true;
  return same;
}

Tensor Scope::parameter(std::string_view name, const Shape& shape, Init init, Shard shard) const {
  const std::string full = (*this / name).prefix_;
  Tensor value = source_->provide(full, shape, init);
  if (shard != Shard::whole && value.shape() == shape)  // else the source had this rank's share
    value = share_of(value, shard, layout_.on(Axis::tp));
  if (trainable()) value.set_requires_grad(true);
  parameters_->push_back({full, value, shard, shape, every_stage_});
  return value;
}

}  // namespace baton
