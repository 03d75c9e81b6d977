#include "engine/nn/attention.h"

#include "engine/ops/view.h"

namespace baton {

Tensor split_heads(const Tensor& x, int64_t heads) { return reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}); }

Tensor merge_heads(const Tensor& x) { return reshape(x, {x.dim(0), x.dim(1), x.dim(2) * x.dim(3)}); }

}  // namespace baton
