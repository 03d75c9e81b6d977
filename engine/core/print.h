#pragma once

#include <string>
#include <string_view>

namespace baton {

// `text` as a terminal may see it, whatever file it came from. What a terminal would obey, or what would make it show
// other words than there are, is spelled out as in JSON: control characters (C0 but newlines, DEL, C1), marks that
// change the direction of writing, and line separators as \u009b; bytes that are no UTF-8 as \xff. JSON text stays the
// same value.
std::string printable(std::string_view text);
// The same for a name or a text that stands within a line: newlines too, as \n.
std::string printable_line(std::string_view text);

// Writes a result to stdout, printable and at once; log and progress go to stderr (engine/core/log.h).
void print(std::string_view text);

}  // namespace baton
