#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

// Well-formed UTF-8: no stray or missing bytes, no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
// Bytes of the code point that the text begins with; 0 if it begins with none.
size_t utf8_length(std::string_view text);

// The code point at text[at], and moves `at` behind it. The text must be well-formed.
char32_t next_code_point(std::string_view text, size_t& at);

void append_code_point(std::string& text, char32_t code_point);

// At most `bytes` bytes of a well-formed text, cut between two code points.
std::string_view utf8_prefix(std::string_view text, size_t bytes);

// The same for people: "…" stands for what was cut.
std::string utf8_excerpt(std::string_view text, size_t bytes = 60);

}  // namespace baton
