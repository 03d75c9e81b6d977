#pragma once

#include <string_view>

#include "engine/tensor/tensor.h"

namespace baton {

// RunError "WHAT: a value is not finite" where one is not. Not recorded.
void check_finite(const Tensor& x, std::string_view what);

}  // namespace baton
