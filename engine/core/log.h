#pragma once

#include <spdlog/spdlog.h>

// Log and progress go to stderr; stdout carries results only.
namespace baton {

// Sets up the stderr logger; `verbose` also shows debug lines. Call once at start.
void start_log(bool verbose);

}  // namespace baton
