#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// target (+)= scale * sum of source over the dimensions along which target was broadcast (size 1, or missing in front).
// source [..., any strides] f32 or bf16; target contiguous, f32 or bf16. Sums are kept in f32, in an order that depends
// on the shapes alone.
struct SumToArgs {
  View source, target;
  bool accumulate;
  float scale = 1;
};

namespace cpu {
void sum_to(const SumToArgs&);
}

}  // namespace baton::kernels
