#pragma once

#include <span>
#include <string>

#include "engine/config/train_config.h"
#include "engine/io/file.h"

namespace baton {

// The config of `baton train` from a file and "key=value" overrides. Where it names a model.start, a key that it leaves
// out is as that model has it: autoencoder, tokenizer, networks, experts and their boundaries, longest caption, size of
// the pictures, shift of the noise levels, and what it suggests to those who draw. Networks and boundaries are the
// model's own: values that contradict them are InputErrors that name both. Configs in checkpoints say all of this
// themselves and are read by read_config_text(). For a plan the start need not be there yet: the config then describes
// the networks itself.
enum class StartModel { must_be_there, may_be_missing };
TrainConfig read_train_config(const Path& file, std::span<const std::string> overrides = {},
                              StartModel start = StartModel::must_be_there);

}  // namespace baton
