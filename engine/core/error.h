#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <utility>

namespace baton {

// The user gave something unusable (flag, config, file, prompt): exit code 2. Nothing has been written.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The work itself failed (disk full, non-finite latent): exit code 1.
struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void fail_run(fmt::format_string<Args...> format, Args&&... args) {
  throw RunError(fmt::format(format, std::forward<Args>(args)...));
}

// One line per precondition, at the top of a public function: check(k == n, "linear: x has {} columns, weight {}", k,
// n).
template <typename... Args>
void check(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

}  // namespace baton
