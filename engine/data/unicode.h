#pragma once

#include <string>
#include <string_view>
#include <vector>

// Unicode properties and forms, from utf8proc. Texts are well-formed UTF-8 (engine/core/utf8.h).
namespace baton {

bool is_space(char32_t code_point);   // White_Space
bool is_letter(char32_t code_point);  // \p{L}
bool is_number(char32_t code_point);  // \p{N}

std::string to_nfc(std::string_view text);
std::string to_nfd(std::string_view text);
std::string to_nfkc(std::string_view text);
std::string to_lower(std::string_view text);  // code point by code point

// Extended grapheme clusters: what a reader takes for one character.
std::vector<std::string_view> graphemes(std::string_view text);

// Every run of white space becomes one space; none at either end.
std::string collapse_spaces(std::string_view text);

}  // namespace baton
