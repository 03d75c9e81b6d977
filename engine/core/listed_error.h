#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/core/error.h"

namespace baton {

// An InputError of several reasons, which the user is shown on a line each.
class ListedError : public InputError {
 public:
  ListedError(std::string head, std::vector<std::string> reasons)
      : InputError(head + (reasons.empty() ? "" : fmt::format("\n  {}", fmt::join(reasons, "\n  ")))),
        head_(std::move(head)),
        reasons_(std::move(reasons)) {}

  const std::string& head() const { return head_; }
  const std::vector<std::string>& reasons() const { return reasons_; }

 private:
  std::string head_;
  std::vector<std::string> reasons_;
};

}  // namespace baton
