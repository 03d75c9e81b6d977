#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace baton {

// A promise that one part of Baton makes to another was broken, whatever the user gave: a bug. Exit code 1.
struct LogicError : std::logic_error {
  using std::logic_error::logic_error;
};

// A format string and the line that it stands in.
template <typename... Args>
struct LocatedFormat {
  template <typename Text>
  consteval LocatedFormat(const Text& text, std::source_location where = std::source_location::current())
      : text(text), where(where) {}
  fmt::format_string<Args...> text;
  std::source_location where;
};

// Throws LogicError: the message, then folder, file and line.
[[noreturn]] void fail_logic(const std::string& message, const std::source_location& where);

// One line per precondition that only Baton's own code can break, at the top of a public function:
// require(k == n, "linear: x has {} columns, weight {}", k, n). What a user can break is check()ed (error.h).
template <typename... Args>
void require(bool condition, LocatedFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  if (!condition) fail_logic(fmt::format(format.text, std::forward<Args>(args)...), format.where);
}

}  // namespace baton
