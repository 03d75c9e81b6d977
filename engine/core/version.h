#pragma once

#include <string_view>

namespace baton {

// "X.Y.Z", the version of the project in CMakeLists.txt.
std::string_view version();

}  // namespace baton
