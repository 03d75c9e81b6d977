#pragma once

#include "engine/diffusion/sampler.h"
#include "engine/io/json.h"

namespace baton {

// scheduler_config.json of diffusers' UniPCMultistepScheduler, DPMSolverMultistepScheduler,
// FlowMatchEulerDiscreteScheduler or FlowMatchHeunDiscreteScheduler, each with the keys that it reads there; others, as
// from_config leaves them behind, are named in a warning. Unknown classes, and values that Baton has no code for, are
// refused when the sampler is made. `class_in_index`: what model_index.json says, for a file that does not.
SamplerConfig read_sampler_config(const Path& file, const std::string& class_in_index = "");

// The same file for another model: as it is, with its class and another shift. Nulls, which stand for the class's
// defaults, are left out.
Json scheduler_json(const Path& file, const std::string& class_in_index, double flow_shift);

// A UniPC scheduler for flow matching with this shift, as diffusers reads it.
Json unipc_json(double flow_shift);

}  // namespace baton
