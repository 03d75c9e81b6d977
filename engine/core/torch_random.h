#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace baton {

// The normal numbers of `torch.randn(n, generator=torch.Generator("cpu").manual_seed(seed))` in f32, bit for bit as
// PyTorch gives them on x86-64 with AVX2 or better, on any processor. As there, the numbers depend on the size of each
// draw, not only on the seed: randn of 10 and then of 10 values is not randn of 20.
class TorchGenerator {
 public:
  explicit TorchGenerator(uint64_t seed);
  void randn(std::span<float> out);

 private:
  uint32_t next();       // one word of the Mersenne Twister MT19937 (Matsumoto & Nishimura 1998)
  double next_double();  // in [0, 1), 53 bits, of two words
  float next_normal();   // for draws of fewer than 16 values

  std::array<uint32_t, 624> state_;
  uint32_t position_;                   // of the next word in state_
  std::optional<double> spare_normal_;  // Box-Muller makes two; this one is for the next short draw
};

}  // namespace baton
