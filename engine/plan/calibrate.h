#pragma once

#include "engine/plan/machine.h"

namespace baton {

// Measures the CPU kernels of this computer, in a few seconds: products of several sizes in f32 and bf16, a copy, the
// start of a kernel. With several `ranks` in this process each is a device that gets its part of all that.
Machine measure_machine(int64_t ranks);

}  // namespace baton
