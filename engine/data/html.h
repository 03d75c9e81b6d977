#pragma once

#include <string>
#include <string_view>

namespace baton {

// Replaces the character references of HTML 5: &eacute; &#233; &#xe9;, and those that browsers know without the
// semicolon (&copy, &ampx). `as_ftfy` leaves the latter alone, but knows names in capitals: &EACUTE; is É. The text
// must be well-formed UTF-8.
std::string unescape_html(std::string_view text, bool as_ftfy = false);

}  // namespace baton
