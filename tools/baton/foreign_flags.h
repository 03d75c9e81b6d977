#pragma once

#include <string>
#include <string_view>

namespace baton {

// For a flag of other programs that draw pictures (stable-diffusion.cpp, diffusers' scripts, web UIs): what it is
// called here, as "; in Baton this is --guidance", or that Baton has no such thing yet. Empty for any other word.
std::string explain_foreign_flag(std::string_view flag);

}  // namespace baton
