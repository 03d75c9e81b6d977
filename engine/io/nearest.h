#pragma once

#include <span>
#include <string>
#include <string_view>

namespace baton {

// ", did you mean 'num_layers'?" for an unknown word, or nothing when no known word is close: for error messages.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

}  // namespace baton
