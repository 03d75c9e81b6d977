#pragma once

#include "engine/io/file.h"
#include "engine/io/output.h"
#include "engine/io/safetensors_layout.h"
#include "engine/tensor/tensor.h"

namespace baton {

// A .safetensors file that several ranks write together, inside a folder that appears only when complete
// (AtomicDirectory). It ends up with the very bytes that write_safetensors() would give for the whole tensors.
class SharedSafetensors {
 public:
  // The same entries on every rank. One of them creates the file, and the others open it after that.
  SharedSafetensors(const Path& path, std::vector<TensorEntry> entries, bool create);
  SharedSafetensors(const SharedSafetensors&) = delete;
  SharedSafetensors& operator=(const SharedSafetensors&) = delete;

  // `part`, contiguous, is the tensor from `start` on along its first (dim 0) or second (dim 1) dimension. RunError if
  // the disk is full.
  void write(std::string_view name, const Tensor& part, int dim = 0, int64_t start = 0);
  void flush() { output_.flush(); }

 private:
  Path path_;
  SafetensorsLayout layout_;
  Output output_;
};

}  // namespace baton
