#pragma once

#include <cstdint>
#include <span>

// Counter-keyed random numbers (Philox 4x32-10, Salmon et al. 2011): a value depends only on (seed, stream, index),
// never on what was drawn before, so recomputation, resume and any split over ranks or batches see the same numbers.
namespace baton {

// One 64-bit word for (seed, stream, index).
uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index);

// In [0, 1), 53 bits.
double random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

// In [0, n); n > 0. The bias is below n / 2^64.
uint64_t random_below(uint64_t n, uint64_t seed, uint64_t stream, uint64_t index);

// Standard normal values for indices first … first + out.size() - 1 (Box-Muller, one pair of uniforms a value pair).
void random_normal(std::span<float> out, uint64_t seed, uint64_t stream, uint64_t first = 0);

}  // namespace baton
