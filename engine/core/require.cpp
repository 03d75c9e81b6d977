#include "engine/core/require.h"

namespace baton {

void fail_logic(const std::string& message, std::string_view file, int line) {
  // "ops/linear.cpp" of a path that differs from builder to builder.
  if (const size_t name = file.rfind('/'); name != file.npos && name > 0)
    if (const size_t folder = file.rfind('/', name - 1); folder != file.npos) file.remove_prefix(folder + 1);
  throw LogicError(fmt::format("{} ({}:{})", message, file, line));
}

}  // namespace baton
