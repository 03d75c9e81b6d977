#pragma once

#include "engine/io/tensor_store.h"
#include "engine/nn/parameters.h"

namespace baton {

// Parameters out of a model's files, borrowed from the mapping: nothing is copied but f16 and f64, which become f32.
// Constant unless `trainable`, which makes f32 copies. `store` must outlive the construction of the model alone.
class StoredParameters : public ParameterSource {
 public:
  explicit StoredParameters(TensorStore& store, bool trainable = false) : store_(store), trainable_(trainable) {}
  Tensor provide(const std::string& name, const Shape& shape, Init init) override;
  bool trainable() const override { return trainable_; }
  // Warns of tensors that the model did not ask for, as diffusers and transformers do: a counter of an average, the
  // other half of a full T5. Refuses those that say that the weights mean something else.
  void finish() const;

 private:
  std::string name_in_file(const std::string& name) const;

  TensorStore& store_;
  bool trainable_;
};

}  // namespace baton
