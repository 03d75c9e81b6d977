#include "engine/io/safetensors_header.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return baton::fuzz::run([&] {
    const auto header = baton::parse_safetensors_header(baton::fuzz::text_of(data, size), "fuzz");
    for (const auto& [name, entry] : header.tensors) {
      baton::fuzz::require(entry.begin >= 0 && entry.begin <= entry.end);
      baton::fuzz::require(header.data + entry.end <= static_cast<int64_t>(size));
    }
  });
}
