#pragma once

#include "kernels/view.h"

// Rows of a table by number. ids [N] i32 contiguous, every one in [0, V).
namespace baton::kernels {

// out[n] = table[ids[n]]: table [V, D], out [N, D] contiguous, f32 or bf16 each.
struct GatherRowsArgs {
  View table, ids, out;
};
// target[ids[n]] += source[n], in the order of n: source [N, D] f32 or bf16, target [V, D] f32, both contiguous.
struct ScatterAddRowsArgs {
  View source, ids, target;
};

namespace cpu {
void gather_rows(const GatherRowsArgs&);
void scatter_add_rows(const ScatterAddRowsArgs&);
}  // namespace cpu

}  // namespace baton::kernels
