#pragma once

#include <filesystem>

namespace baton {

// The folder `tests` of the source tree, where fixtures are. One file alone knows it, so that a compiler cache serves
// every checkout.
std::filesystem::path test_dir();

}  // namespace baton
