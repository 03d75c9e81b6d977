#include "engine/core/log.h"

#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include "engine/core/print.h"
#include "engine/core/screen.h"

namespace baton {
namespace {

// The message as one line that a terminal may see: names from files stand in it.
class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string text = printable_line({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PrintableMessage>(); }
};

// Whether the user wants no colours: https://no-color.org, or a terminal that has none.
bool is_plain() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return (no_color && *no_color) || (terminal && std::string_view(terminal) == "dumb");
}

// Lines that do not run into the progress bar.
class StderrSink : public spdlog::sinks::ansicolor_stderr_sink_mt {
 public:
  StderrSink() : ansicolor_stderr_sink(is_plain() ? spdlog::color_mode::never : spdlog::color_mode::automatic) {}
  void log(const spdlog::details::log_msg& message) override {
    clear_bar();
    ansicolor_sink::log(message);
  }
};

}  // namespace

void start_log(bool verbose) {
  auto logger = std::make_shared<spdlog::logger>("baton", std::make_shared<StderrSink>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('*').set_pattern("%^%l%$: %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  spdlog::set_default_logger(logger);
}

void warn_once(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(text).second) spdlog::warn("{}", text);
}

}  // namespace baton
