#pragma once

#include "engine/diffusion/sampler.h"
#include "engine/io/json.h"

namespace baton {

// scheduler_config.json of diffusers' UniPCMultistepScheduler, DPMSolverMultistepScheduler,
// FlowMatchEulerDiscreteScheduler or FlowMatchHeunDiscreteScheduler. Unknown classes and keys are refused here, values
// that Baton has no code for when the sampler is made.
SamplerConfig read_sampler_config(const Path& file);

// A UniPC scheduler for flow matching with this shift, as diffusers reads it.
Json unipc_json(double flow_shift);

}  // namespace baton
