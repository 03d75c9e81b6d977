#pragma once

#include <string_view>

namespace baton {

// Whether a text holds characters beside each other that hardly anybody writes so, but that come out where UTF-8 was
// read in another encoding: "Ã©", "â€™", "Ð¿Ñ€". The rules are those of ftfy 6.3 (ftfy/badness.py), found there by
// looking at many texts.
bool looks_garbled(std::u32string_view text);

}  // namespace baton
