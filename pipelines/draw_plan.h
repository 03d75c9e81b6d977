#pragma once

#include "engine/config/generate_config.h"
#include "engine/io/pipeline_directory.h"
#include "pipelines/text_to_image.h"

namespace baton {

// Fills in what the user left open from the model's defaults, then its scheduler, then 30 UniPC steps at guidance 5,
// and checks all of it against the model: the size, the boundaries, the number of guidance values. On return `config`
// holds every setting that is used, explicitly. Strength 0 leaves no step.
DrawPlan make_draw_plan(GenerateConfig& config, const PipelineDirectory& model);

// The table of steps (step, t, sigma, expert, guidance), both forms of the hand-over, and the memory that the run
// needs, as text.
std::string describe(const DrawPlan& plan, const PipelineDirectory& model, int64_t batch, DType compute);

// "128x96" -> {128, 96}.
std::pair<int64_t, int64_t> parse_size(const std::string& text);

}  // namespace baton
