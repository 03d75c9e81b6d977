#pragma once

#include <string>
#include <vector>

#include "engine/parallel/layout.h"
#include "engine/tensor/tensor.h"

// Where a model's weights come from and how they are named. A layer's constructor asks its Scope for each of its
// parameters, so the constructors are the weight map: names are those of diffusers and transformers.
namespace baton {

// How a parameter starts when it is trained from nothing. `scale` is the standard deviation, half-width or constant.
struct Init {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  float scale = 0;

  static Init constant(float value) { return {Kind::constant, value}; }
  static Init normal(float deviation) { return {Kind::normal, deviation}; }
  static Init uniform(float half_width) { return {Kind::uniform, half_width}; }
};

// A parameter as this rank has it: the whole, or with tensor parallelism a share of the rows (column) or columns (row)
// of the logical tensor.
struct Parameter {
  std::string name;
  Tensor value;
  Shard shard = Shard::whole;
  Shape logical;             // shape of the whole; empty: of `value`
  bool every_stage = false;  // of a pipeline has it, rather than one
};
using Parameters = std::vector<Parameter>;
const Shape& logical_shape(const Parameter& parameter);
// This rank's share of a whole tensor, contiguous. Throws InputError if tp cannot cut it evenly.
Tensor share_of(const Tensor& whole, Shard shard, const Group& tp);

// The tensor called `name`; throws InputError if absent from `parameters`.
const Tensor& find(const Parameters& parameters, std::string_view name);
int64_t count_elements(const Parameters& parameters);
// The values in fresh f32 memory, without history.
Tensor f32_copy(const Tensor& value);

class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  // Returns the tensor called `name`, which must have `shape`; throws InputError if there is none.
  virtual Tensor provide(const std::string& name, const Shape& shape, Init init) = 0;
  // Trainable parameters are f32 leaves of the tape. Others are constant: layers pack them for sampling at their first
  // use and let the originals go.
  virtual bool trainable() const = 0;
};

// Fresh f32 parameters drawn from their Init; the numbers depend on the seed and the name alone.
class RandomParameters : public ParameterSource {
 public:
  explicit RandomParameters(uint64_t seed) : seed_(seed) {}
  Tensor provide(const std::string& name, const Shape& shape, Init init) override;
  bool trainable() const override { return true; }

 private:
  uint64_t seed_;
};

// f32 copies of another model's parameters (a branch into experts, a checkpoint), trainable or constant; of a model on
// the same layout, this rank's shares. `original` must outlive the construction.
class CopiedParameters : public ParameterSource {
 public:
  CopiedParameters(const Parameters& original, bool trainable) : original_(original), trainable_(trainable) {}
  Tensor provide(const std::string& name, const Shape& shape, Init init) override;
  bool trainable() const override { return trainable_; }

 private:
  const Parameters& original_;
  bool trainable_;
};

// A place in the tree of names: scope / "blocks" / "0" / "attn1". Collects what the layers below it asked for in
// `parameters`.
class Scope {
 public:
  Scope(ParameterSource& source, Parameters& parameters, const Layout& layout = {})
      : source_(&source), parameters_(&parameters), layout_(layout) {}
  Scope operator/(std::string_view name) const;
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  // The same place, whose parameters all stages of a pipeline have.
  Scope on_every_stage() const;
  // `shape` is that of the logical tensor. Throws InputError if tp cannot cut it evenly.
  Tensor parameter(std::string_view name, const Shape& shape, Init init, Shard shard = Shard::whole) const;
  bool trainable() const { return source_->trainable(); }
  const Layout& layout() const { return layout_; }

 private:
  ParameterSource* source_;
  Parameters* parameters_;
  Layout layout_;
  std::string prefix_;
  bool every_stage_ = false;
};

}  // namespace baton
