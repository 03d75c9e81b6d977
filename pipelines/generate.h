#pragma once

#include "engine/config/generate_config.h"
#include "pipelines/runtime.h"

namespace baton {

// `baton generate`: text (or a picture and text) to pictures. Returns an exit code; bad input throws InputError before
// anything is written.
int run_generate(const GenerateConfig& config, const Runtime& runtime);

// $BATON_MODEL, else the assets/model folder of the source tree or beside the program.
std::string default_model();

}  // namespace baton
