#include "engine/ops/finite.h"

#include "engine/core/error.h"
#include "engine/ops/reduce.h"

namespace baton {

void check_finite(const Tensor& x, std::string_view what) {
  if (!all_finite(x)) fail_run("{}: a value is not finite", what);
}

}  // namespace baton
