#include "engine/config/visitor.h"

#include <fmt/format.h>

#include <cstdlib>

namespace baton {

void ConfigVisitor::operator()(std::string_view key, float& value, std::string_view help, Range<double> range) {
  // Through its shortest decimal: the nearest double of 1e-6f would print as 9.999999974752427e-07.
  double wide = std::strtod(fmt::format("{}", value).c_str(), nullptr);
  (*this)(key, wide, help, range);
  value = static_cast<float>(wide);
}

}  // namespace baton
