#pragma once

#include <string>
#include <string_view>

namespace baton {

// Undoes the reading of UTF-8 in another encoding, as often as it has happened: "itâ€™s a cafÃ©" -> "it’s a café". The
// result is that of ftfy 6.3's fix_encoding. Text that does not look so stays what it is. Both are well-formed UTF-8.
std::string repair_encoding(std::string_view text);

}  // namespace baton
