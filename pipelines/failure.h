#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

// What the user is told of an exception that nobody caught, and the exit code.
struct Failure {
  int exit_code;
  std::string message;
  std::vector<std::string> reasons = {};  // of the message, for a line each
};
Failure describe_failure(const std::exception& error);
// On stderr; `who` stands before the message. Names in it cannot make a line of their own.
void log_failure(const Failure& failure, std::string_view who = "");

}  // namespace baton
