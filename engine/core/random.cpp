#include "engine/core/random.h"

#include <array>
#include <cmath>
#include <numbers>

namespace baton {
namespace {

using Words = std::array<uint32_t, 4>;

Words philox(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Counter = (block index, stream): 2^64 streams of 2^64 blocks for each seed.
Words block_of(uint64_t seed, uint64_t stream, uint64_t block) {
  return philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), static_cast<uint32_t>(stream),
                 static_cast<uint32_t>(stream >> 32)},
                static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

}  // namespace

uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index) {
  const Words block = block_of(seed, stream, index / 2);
  const int half = static_cast<int>(index % 2) * 2;
  return uint64_t{block[half + 1]} << 32 | block[half];
}

double random_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return static_cast<double>(random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

uint64_t random_below(uint64_t n, uint64_t seed, uint64_t stream, uint64_t index) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random_bits(seed, stream, index)) * n) >> 64);
}

void random_normal(std::span<float> out, uint64_t seed, uint64_t stream, uint64_t first) {
  for (size_t i = 0; i < out.size();) {
    const uint64_t index = first + i;
    const Words block = block_of(seed, stream, index / 4);
    float values[4];
    for (int pair = 0; pair < 2; ++pair) {
      const double u = (block[2 * pair] + 0.5) * 0x1p-32,
                   v = block[2 * pair + 1] * 0x1p-32;  // u in (0, 1): the logarithm is finite
      const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi * v;
      values[2 * pair] = static_cast<float>(radius * std::cos(angle));
      values[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
    for (uint64_t lane = index % 4; lane < 4 && i < out.size(); ++lane) out[i++] = values[lane];
  }
}

}  // namespace baton
