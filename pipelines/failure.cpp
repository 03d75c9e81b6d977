#include "pipelines/failure.h"

#include <filesystem>
#include <new>
#include <system_error>

#include "engine/core/error.h"
#include "engine/core/listed_error.h"
#include "engine/core/log.h"
#include "engine/io/partial.h"
#include "pipelines/runtime.h"

namespace baton {

namespace {

// In the words of our own readers and writers.
Failure describe_failure_of_files(const std::filesystem::filesystem_error& error) try {
  partial::fail_open(error.path1(), "reading or writing", error.code().value());
} catch (const std::runtime_error& in_words) {
  return describe_failure(in_words);
}

}  // namespace

Failure describe_failure(const std::exception& error) {
  if (const auto* listed = dynamic_cast<const ListedError*>(&error))
    return {exit_bad_input, listed->head(), listed->reasons()};
  if (dynamic_cast<const InputError*>(&error)) return {exit_bad_input, error.what()};
  if (dynamic_cast<const RunError*>(&error)) return {exit_failed, error.what()};
  if (dynamic_cast<const std::bad_alloc*>(&error))
    return {exit_failed, "out of memory: the system gives no more; smaller pictures, batches or models need less"};
  if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
    return describe_failure_of_files(*files);
  if (const auto* system = dynamic_cast<const std::system_error*>(&error);
      system && system->code() == std::errc::resource_unavailable_try_again)
    return {exit_failed, "the system gives no more threads (or memory for them); --threads and --ranks ask for fewer"};
  return {exit_failed, fmt::format("unexpected: {}; this is a bug of Baton, please report it", error.what())};
}

void log_failure(const Failure& failure, std::string_view who) {
  spdlog::error("{}{}", who, failure.message);
  for (const std::string& reason : failure.reasons) spdlog::error("  {}", reason);
}

}  // namespace baton
