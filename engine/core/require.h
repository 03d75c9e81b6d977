#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace baton {

// A promise that one part of Baton makes to another was broken, whatever the user gave: a bug. Exit code 1.
struct LogicError : std::logic_error {
  using std::logic_error::logic_error;
};

// A format string and the line that it stands in. (The fuzz targets' clang 14 has no std::source_location.)
template <typename... Args>
struct LocatedFormat {
  template <typename Text>
  consteval LocatedFormat(const Text& message, const char* in_file = __builtin_FILE(), int at = __builtin_LINE())
      : text(message), file(in_file), line(at) {}
  fmt::format_string<Args...> text;
  const char* file;
  int line;
};

// Throws LogicError: the message, then folder, file and line.
[[noreturn]] void fail_logic(const std::string& message, std::string_view file, int line);

// One line per precondition that only Baton's own code can break, at the top of a public function:
// require(k == n, "linear: x has {} columns, weight {}", k, n). What a user can break is check()ed (error.h).
template <typename... Args>
void require(bool condition, LocatedFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  if (!condition) fail_logic(fmt::format(format.text, std::forward<Args>(args)...), format.file, format.line);
}

}  // namespace baton
