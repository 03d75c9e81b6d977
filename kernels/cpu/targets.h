#pragma once

#include "hwy/detect_compiler_arch.h"

// The instruction sets that kernels are compiled for: AVX-512, AVX2 and plain C++. What lies between the last two has
// been rare for a decade and would lengthen every build by a third or two. Builds with sanitizers take longest over
// these files, and leave out AVX-512: the sets better than AVX2 have the lower bits.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | (HWY_AVX2 - 1))
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#endif
