#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace baton {

struct TensorEntry {
  std::string name;
  DType dtype;
  Shape shape;
  int64_t offset = 0;  // of its first byte in the file
};

// Where everything stands in a .safetensors file: a function of names, types and shapes alone, so that several writers
// agree on it without talking.
class SafetensorsLayout {
 public:
  SafetensorsLayout(std::vector<TensorEntry> entries, const std::map<std::string, std::string>& metadata);
  const std::string& header() const { return header_; }                 // the file's first bytes, length included
  const std::vector<TensorEntry>& entries() const { return entries_; }  // in the order of the file
  const TensorEntry& entry(std::string_view name) const;                // InputError if there is none
  int64_t bytes() const { return bytes_; }                              // of the file

 private:
  std::vector<TensorEntry> entries_;
  std::string header_;
  int64_t bytes_ = 0;
};

}  // namespace baton
