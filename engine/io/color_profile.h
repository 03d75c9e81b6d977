#pragma once

#include <string_view>

namespace baton {

// Whether values that an ICC profile describes mean about the same as in sRGB: its primaries and the middle of its
// curves are sRGB's (grey: its curve). True for what is no profile, as that says nothing.
bool is_srgb_profile(std::string_view profile);

}  // namespace baton
