#include "tools/baton/last_resort.h"

#include <execinfo.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

#include "engine/core/allocator.h"
#include "pipelines/runtime.h"

namespace baton {
namespace {

void take_cached_memory() {
  if (release_cached() == 0) throw std::bad_alloc();
}

// Says it without memory and without locks, which others may hold.
[[noreturn]] void end_with(std::string_view message) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
  std::_Exit(exit_failed);
}

[[noreturn]] void on_terminate() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    end_with("error: out of memory, where there was no way back\n");
  } catch (...) {
  }
  end_with("error: an exception where there was no way back; this is a bug of Baton, please report it\n");
}

}  // namespace

void prepare_last_resort() {
  void* frame = nullptr;
  backtrace(&frame, 1);  // loads what exceptions need to pass through the C library, which takes memory
  std::set_new_handler(take_cached_memory);
  std::set_terminate(on_terminate);
}

}  // namespace baton
