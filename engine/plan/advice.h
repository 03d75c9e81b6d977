#pragma once

#include <string>
#include <vector>

#include "engine/plan/plan.h"

namespace baton {

// What limits this plan and what to change, most important first, as sentences.
std::vector<std::string> advice(const Plan& plan, const Machine& machine);

}  // namespace baton
