#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/core/error.h"

namespace baton::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A reader either succeeds or refuses with InputError. Anything else that it throws ends the process, and libFuzzer
// keeps the input.
template <typename Body>
int run(Body&& body) {
  try {
    body();
  } catch (const InputError&) {
  }
  return 0;
}

// A property that holds for whatever was read.
inline void require(bool condition) {
  if (!condition) __builtin_trap();
}

}  // namespace baton::fuzz
