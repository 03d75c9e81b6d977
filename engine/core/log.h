#pragma once

#include <spdlog/spdlog.h>

#include <string>

// Log and progress go to stderr; stdout carries results only.
namespace baton {

// Sets up the stderr logger; `verbose` also shows debug lines. Call once at start.
void start_log(bool verbose);

// A warning that is given once, however often this process comes by (every rank, every time that a model is opened).
void warn_once(const std::string& text);

}  // namespace baton
