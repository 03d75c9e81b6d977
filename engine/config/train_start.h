#pragma once

#include <span>
#include <string>

#include "engine/config/train_config.h"
#include "engine/io/file.h"

namespace baton {

// The config of `baton train` from a file and "key=value" overrides. Where it names a model.start, a key that it leaves
// out is as that model has it: autoencoder, tokenizer, networks, experts and their boundaries, longest caption, size of
// the pictures, shift of the noise levels, and what it suggests to those who draw. Networks, boundaries,
// autoencoder and tokenizer are the model's own: what contradicts them is an InputError that names both, and so is a
// model with parts that training has no place for (several text encoders, or one of another class). Configs in
// checkpoints say all of this themselves and are read by read_config_text(). For a plan the start need not be there
// yet: the config then describes the networks itself.
enum class StartModel { must_be_there, may_be_missing };
TrainConfig read_train_config(const Path& file, std::span<const std::string> overrides = {},
                              StartModel start = StartModel::must_be_there);

}  // namespace baton
