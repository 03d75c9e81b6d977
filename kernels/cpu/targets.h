#pragma once

#include "hwy/detect_compiler_arch.h"

// The instruction sets that kernels are compiled for: AVX-512, AVX2 and plain C++. What lies between the last two has
// been rare for a decade and would lengthen every build by a third or two.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
