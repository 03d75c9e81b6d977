#pragma once

#include <string>
#include <string_view>

namespace baton {

// Replaces the character references of HTML 5: &eacute; &#233; &#xe9;, and those that browsers know without the
// semicolon (&copy, &ampx). `terminated_only` leaves the latter alone. The text must be well-formed UTF-8.
std::string unescape_html(std::string_view text, bool terminated_only = false);

}  // namespace baton
