#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/core/shape.h"

// The head of a .safetensors file: 8 bytes little-endian length, then JSON, then the tensors' bytes:
//   {"__metadata__": {"format": "pt"}, "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
namespace baton {

struct SafetensorsHeader {
  struct Entry {
    std::string dtype;  // as in the file: "F32", "BF16", "F8_E4M3", …
    Shape shape;
    int64_t begin, end;  // bytes after `data`
  };
  std::map<std::string, Entry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  int64_t data = 0;  // where the tensors' bytes begin in the file
};

// Checks all that the format's specification demands: length at most 100 MB and inside the file, '{' first, UTF-8, JSON
// of exactly these types, known dtypes, sizes that match shapes, and tensors that follow each other from 0 to the end
// of the file without holes or overlaps. Stricter than the reference reader in that it refuses duplicate keys, unknown
// fields, NUL in names and more than 64 dimensions. `file` is the whole file; messages start with `where`.
SafetensorsHeader parse_safetensors_header(std::string_view file, std::string_view where);

}  // namespace baton
