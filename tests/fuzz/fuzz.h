#pragma once

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include "engine/core/error.h"

// What every target shares: which errors are right, and the rules of time and memory.
namespace baton::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A property that holds for whatever was read.
inline void require(bool condition) {
  if (!condition) __builtin_trap();
}

// Bytes that are allocated now, and the most since the last reset.
struct Memory {
  static inline std::atomic<int64_t> live = 0, peak = 0;
  static void count() {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(
        [](const volatile void*, size_t bytes) {
          const int64_t now = live += static_cast<int64_t>(bytes);
          if (now > peak) peak = now;
        },
        [](const volatile void* block) {
          live -= static_cast<int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(block)));
        });
    (void)installed;
  }
};

// A reader either succeeds or refuses with InputError, within 1 s of processor time a MiB of input (at least 1 s), and
// with memory for twice the input and 64 MiB. Anything else ends the process, and libFuzzer keeps the input. The
// sanitizers and the fuzzer's counters make the code here some four times slower than what users run.
constexpr double slower_here = 4;

template <typename Body>
int run(size_t input_bytes, Body&& body) {
  Memory::count();
  const std::clock_t start = std::clock();
  const int64_t before = Memory::live;
  Memory::peak = before;
  try {
    body();
  } catch (const InputError&) {
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const double megabytes = static_cast<double>(input_bytes) / (1 << 20);
  const int64_t used = Memory::peak - before, most = 2 * static_cast<int64_t>(input_bytes) + (64 << 20);
  if (seconds > slower_here * std::max(1.0, megabytes) || used > most) {
    std::fprintf(stderr, "%zu bytes took %.2f s and %lld bytes of memory\n", input_bytes, seconds,
                 static_cast<long long>(used));
    __builtin_trap();
  }
  return 0;
}

// The input with one stretch of it repeated to `bytes`: what takes n^2 shows, although libFuzzer's inputs stay small.
// The stretch is a function of the input; few inputs are stretched, as most of the time would go there.
inline std::string stretched(std::string_view input, size_t bytes = 128 << 10) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : input) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  if (input.empty() || hash % 32 != 0) return std::string(input);
  const size_t begin = (hash >> 8) % input.size(), most = std::min<size_t>(input.size() - begin, 24);
  const std::string_view part = input.substr(begin, 1 + (hash >> 32) % most);
  std::string out(input.substr(0, begin));
  while (out.size() < bytes) out += part;
  return out.append(input.substr(begin));
}

}  // namespace baton::fuzz
