#pragma once

#include <cstdint>

namespace baton {

// What random numbers are drawn for. A use and a number (of a sample or a step) name a stream of engine/core/random.h.
enum class RandomUse : uint64_t {
  training_times = 1,
  training_noise,
  posterior_noise,
  validation_times,
  validation_noise
};

constexpr uint64_t random_stream(RandomUse use, uint64_t number) { return static_cast<uint64_t>(use) << 56 | number; }

}  // namespace baton
