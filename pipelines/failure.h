#pragma once

#include <exception>
#include <string>

namespace baton {

// What the user is told of an exception that nobody caught, and the exit code.
struct Failure {
  int exit_code;
  std::string message;
};
Failure describe_failure(const std::exception& error);

}  // namespace baton
