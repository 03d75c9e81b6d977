#pragma once

#include <string>

#include "engine/io/json.h"
#include "engine/plan/search.h"

namespace baton {

// A plan as one JSON object. Bytes are those of the fullest rank, seconds those of the slowest.
Json to_json(const Plan& plan, const Machine& machine);
// … and as a table with advice.
std::string describe(const Plan& plan, const Machine& machine);

// One line for each mesh.
std::string describe(const std::vector<Plan>& plans, const Machine& machine);

}  // namespace baton
