#pragma once

#include "engine/config/plan_config.h"

namespace baton {

// `baton plan`: says how much memory and time a training step takes on a described machine, or which meshes fit it
// best; or measures this computer. Returns an exit code.
int run_plan(const PlanConfig& config);

}  // namespace baton
