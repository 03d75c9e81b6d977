#include "engine/core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace baton {

void start_log(bool verbose) {
  auto logger = spdlog::stderr_color_mt("baton");
  logger->set_pattern("%^%l%$: %v");
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace baton
