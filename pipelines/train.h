#pragma once

#include "engine/config/train_config.h"
#include "pipelines/runtime.h"

namespace baton {

// Trains what the config says, from the newest checkpoint in config.checkpoint.folder on if there is one, and writes
// the model to the folder `model` there; prints that folder. Interrupted, it saves a checkpoint: the same call goes on
// from it.
int run_train(const TrainConfig& config, const Runtime& runtime);

}  // namespace baton
