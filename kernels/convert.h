#pragma once

#include "kernels/view.h"

namespace baton::kernels {

// target = source, element by element; same shape, any strides (those of the target do not overlap). Either the same
// dtype, or f32 and bf16 in either order (rounded to nearest even).
struct CopyArgs {
  View source, target;
};

namespace cpu {
void copy(const CopyArgs&);
}

}  // namespace baton::kernels
