#pragma once

#include <span>

#include "engine/comm/group.h"

namespace baton {

// target[i] = the sum, or the greatest, of sources[r][i], in the order of r; f32, f64, i64, i32, or bf16 added in f32
// and rounded once. The target may be one of the sources.
void reduce_values(std::span<const ConstValues> sources, Values target, Reduction reduction);

}  // namespace baton
